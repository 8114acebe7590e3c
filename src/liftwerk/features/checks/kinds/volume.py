"""``volume``: as many in a day as should be, or as are usual on this weekday."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from msgspec import Struct

from liftwerk.events.arrival import VolumeCheck
from liftwerk.features.checks.definition import Severity
from liftwerk.features.checks.kinds.check import Judged, unknown
from liftwerk.stats.counts import is_unusual
from liftwerk.stats.estimate import Unknown
from liftwerk.store.instants import from_microseconds, to_microseconds

WEEKS = 8
"""Weeks before, whose same weekday says what is usual."""

FEWEST = 4
"""So many of them have to be there."""


class Volume(Struct, frozen=True):
    """As many in a day as should be.

    Attributes
    ----------
    limits : VolumeCheck
    days : tuple of (datetime, datetime)
        The last day that is over, and the same weekday of the weeks before: begin and end.
    """

    limits: VolumeCheck
    days: tuple[tuple[datetime, datetime], ...]

    name: ClassVar[str] = "volume"
    severity: ClassVar[Severity] = "warn"
    each: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        """What should be."""
        limits = self.limits
        words = [
            f"{word} {bound:,}"
            for word, bound in (("at least", limits.minimum), ("at most", limits.maximum))
            if bound is not None
        ]
        if limits.usual is not None:
            words.append(f"within {limits.usual} of the weekday's usual")
        return " and ".join(words) + " a day"

    def statistics(self, table: Any) -> Mapping[str, Any]:
        """Count each of the days, and find where the events begin."""
        moment = table["time"]
        counts = {}
        for place, (begin, end) in enumerate(self.days):
            inside = (moment >= to_microseconds(begin)) & (moment < to_microseconds(end))
            counts[f"day {place}"] = inside.sum()
        return {"oldest": moment.min(), **counts}

    def judge(self, found: Mapping[str, Any]) -> Judged:
        """Fail where it is too few or too many."""
        if found["oldest"] is None:
            return unknown(Unknown("nothing ever came", "an event"))
        oldest = from_microseconds(found["oldest"])
        (begin, _), *before = self.days
        if oldest > begin:
            return unknown(Unknown("there is no whole day yet", "a whole day of events"))
        count = found["day 0"] or 0
        limits, words = self.limits, f"{count:,} on {begin:%a %Y-%m-%d}"
        if limits.minimum is not None and count < limits.minimum:
            return Judged("failed", words)
        if limits.maximum is not None and count > limits.maximum:
            return Judged("failed", words)
        if limits.usual is None:
            return Judged("passed", words)
        usual = [
            found[f"day {place}"] or 0
            for place, (start, _) in enumerate(before, start=1)
            if oldest <= start
        ]
        if len(usual) < FEWEST:
            reason = f"too few of such weekdays are known to say what is usual: {len(usual)}"
            return unknown(Unknown(reason, f"{FEWEST} weeks of events"))
        middle = median(usual)
        words += f", usual {middle:,g}"
        answer = is_unusual(count, middle, limits.usual.value)
        if isinstance(answer, Unknown):
            return unknown(answer)
        if answer:
            return Judged("failed", words)
        return Judged("passed", words)

    def accepting(self, observed: Any) -> Volume:
        """Accept nothing: tomorrow is another day."""
        return self


def days_before(now: datetime, zone: ZoneInfo) -> tuple[tuple[datetime, datetime], ...]:
    """Return the last day that is over in a time zone, and the same weekday of the weeks before.

    Parameters
    ----------
    now : datetime
    zone : ZoneInfo
        Its days have 23 or 25 hours where clocks are changed.

    Examples
    --------
    >>> from datetime import UTC
    >>> days = days_before(datetime(2026, 3, 30, 9, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    >>> lengths = (to_microseconds(end) - to_microseconds(begin) for begin, end in days)
    >>> [length // 3_600_000_000 for length in lengths][:2]
    [23, 24]
    """
    yesterday = now.astimezone(zone).date() - timedelta(days=1)
    days = [yesterday - timedelta(weeks=week) for week in range(WEEKS + 1)]
    starts = [(day, day + timedelta(days=1)) for day in days]
    return tuple((_midnight(day, zone), _midnight(after, zone)) for day, after in starts)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
