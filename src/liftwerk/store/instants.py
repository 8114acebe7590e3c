"""Instants as the stores keep them: whole microseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from liftwerk.clock import MICROSECOND

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_microseconds(at: datetime) -> int:
    """Count the microseconds since 1970 of an aware instant.

    Examples
    --------
    >>> to_microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (at - EPOCH) // MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Return the instant so many microseconds after 1970, in UTC.

    Examples
    --------
    >>> from_microseconds(1000000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return EPOCH + count * MICROSECOND
