"""``freshness``: the newest is at most so old, by the clock that was passed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from msgspec import Struct

from liftwerk.definitions.typed import Duration
from liftwerk.features.checks.definition import Severity
from liftwerk.features.checks.kinds.check import Judged, unknown
from liftwerk.stats.estimate import Unknown
from liftwerk.store.instants import from_microseconds


class Freshness(Struct, frozen=True):
    """The newest is at most so old.

    Attributes
    ----------
    limit : Duration
    now : datetime
    newest : datetime or None
        Where it is known without a scan: of a view, when its values were brought up to date.
    """

    limit: Duration
    now: datetime
    newest: datetime | None = None

    name: ClassVar[str] = "freshness"
    severity: ClassVar[Severity] = "warn"
    each: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        """What should be."""
        return f"newest at most {self.limit} old"

    def statistics(self, table: Any) -> Mapping[str, Any]:
        """Find the newest."""
        if self.newest is not None:
            return {}
        return {"newest": table["known_at"].max()}

    def judge(self, found: Mapping[str, Any]) -> Judged:
        """Fail where it is older."""
        newest = self.newest
        if newest is None and found["newest"] is not None:
            newest = from_microseconds(found["newest"])
        if newest is None:
            return unknown(Unknown("nothing ever came", "an event"))
        age = max(self.now - newest, timedelta())
        words = f"{in_words(age)} old ({newest:%Y-%m-%d %H:%M:%S} UTC)"
        if age > self.limit.timedelta:
            return Judged("failed", words)
        return Judged("passed", words)

    def accepting(self, observed: Any) -> Freshness:
        """Accept nothing: a day later it is older."""
        return self


def in_words(age: timedelta) -> str:
    """Say how long something is, to its largest unit.

    Examples
    --------
    >>> in_words(timedelta(days=3, hours=5)), in_words(timedelta(seconds=70))
    ('3 d', '1 min')
    """
    seconds = int(age.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
