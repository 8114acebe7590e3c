"""Whether a source fell silent, by what it declares, or by its own rhythm.

The rhythm asks no model: how many events came in the same stretch of one to four weeks before? A
night, a weekend or a nightly file is quiet in those too, and one outage among the four does not
move their median.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median_low

from liftwerk.definitions.typed import Duration
from liftwerk.events.inventory.shapes import Silence

HOUR = timedelta(hours=1)
WEEK_HOURS = 24 * 7
WEEKS = 4
"""Stretches that are compared at most."""

LEAST_WEEKS = 2
"""With fewer there is no rhythm yet."""

LEAST_EVENTS = 10
"""A stretch in which this many are usual is empty by chance once in 20,000 times (Poisson)."""

LEAST_HOURS = 3
"""Hours with events that are usual in a stretch: a file that comes once a night may be late."""


def silence(
    last: datetime | None,
    by_hour: Mapping[int, int],
    now: datetime,
    declared: Duration | None = None,
    is_file: bool = False,
) -> Silence:
    """Say whether a source fell silent.

    Parameters
    ----------
    last : datetime or None
        When its last event came.
    by_hour : mapping of int to int
        Hours since 1970 -> how many events came in it.
    now : datetime
    declared : Duration or None
        ``silent_after`` of the source.
    is_file : bool
        Whether it is a file, which comes when somebody imports it.

    Returns
    -------
    Silence

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 29, 12, 30, tzinfo=UTC)
    >>> hours = {round(now.timestamp()) // 3600 - hour: 40 for hour in range(6, 800)}
    >>> silence(now - timedelta(hours=6), hours, now).because
    'nothing for 6 h; in the same hours of the 4 weeks before, 200 events were usual'
    """
    if last is None:
        return Silence("unknown", "it never sent anything")
    quiet = now - last
    if declared is not None:
        words = f"nothing for {lasting(quiet)}; {declared} is declared"
        if quiet > timedelta(microseconds=declared.microseconds):
            return Silence("silent", words)
        return Silence("sending", words)
    if is_file:
        return Silence("unknown", "a file comes when it is imported: declare silent_after")
    first = _hour(last) + 1
    # A silence of a week is as telling as a longer one, and asks for less history.
    end = min(_hour(now), first + WEEK_HOURS)
    if end <= first:
        return Silence("sending", f"nothing for {lasting(quiet)}")
    oldest = min(by_hour)
    stretches = [
        _counts(by_hour, first - weeks * WEEK_HOURS, end - weeks * WEEK_HOURS)
        for weeks in range(1, WEEKS + 1)
        if first - weeks * WEEK_HOURS >= oldest
    ]
    if len(stretches) < LEAST_WEEKS:
        history = timedelta(hours=first - oldest)
        return Silence(
            "unknown",
            f"nothing for {lasting(quiet)}, and {lasting(history)} of history are too little to"
            " know its rhythm: declare silent_after",
        )
    usual = median_low(sum(counts) for counts in stretches)
    hours = median_low(len(counts) for counts in stretches)
    words = (
        f"nothing for {lasting(quiet)}; in the same hours of the {len(stretches)} weeks before,"
        f" {usual:,} events were usual"
    )
    if usual >= LEAST_EVENTS and hours >= LEAST_HOURS:
        return Silence("silent", words)
    return Silence("sending", words)


def lasting(span: timedelta) -> str:
    """Write a length of time in its largest fitting unit.

    Examples
    --------
    >>> lasting(timedelta(minutes=12)), lasting(timedelta(hours=30)), lasting(timedelta(days=9))
    ('12 min', '30 h', '9 d')
    """
    minutes = max(0, span // timedelta(minutes=1))
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 60 * 48:
        return f"{minutes // 60} h"
    return f"{minutes // (60 * 24)} d"


def _counts(by_hour: Mapping[int, int], first: int, end: int) -> list[int]:
    """Return the counts of the hours that have any."""
    return [by_hour[hour] for hour in range(first, end) if hour in by_hour]


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // 3600
