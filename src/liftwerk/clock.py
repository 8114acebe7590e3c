"""What time it is: the only place below the edges that may know.

Everything else is handed a `Clock`, so that a run can be repeated at the same instant.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Tells the time in UTC, to the microsecond."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        ...


class SystemClock:
    """The machine's clock, never running backwards within one process.

    Examples
    --------
    >>> clock = SystemClock()
    >>> clock.now() < clock.now()
    True
    """

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the present instant; a clock set back repeats the last one plus a microsecond."""
        self._last = max(datetime.now(UTC), self._last + MICROSECOND)
        return self._last


class FixedClock:
    """A clock that stands still until it is moved.

    Examples
    --------
    >>> clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(days=1))
    >>> clock.now().isoformat()
    '2026-03-02T00:00:00+00:00'
    """

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """Return the instant the clock stands at."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move the clock; a negative step is how tests set it back."""
        self._at = self._at + by
