"""A sender's clock that is wrong: how far, and what the event's time then is.

A browser says when something happened and, in ``sent_at``, what its clock showed when it sent it.
The difference of that to our own clock is the error of its clock, but for the time on the wire; an
event that waited offline for two days keeps its place in time. The stored body is left as it was
told, so that a retry is the same event; the tables' ``time`` is corrected.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(seconds=10)
"""A smaller difference may be the time on the wire, and is left alone."""

AHEAD = timedelta(hours=24)
"""An event that lies further in the future than this did not happen."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""No event is told of a time before this; a clock that is set right must not make one."""

CORRECTED = "browser"
"""The trust whose clocks are corrected: servers keep theirs right, imports tell of the past."""


def happened(time: datetime, sent_at: datetime | None, received: datetime, trust: str) -> datetime:
    """Return when an event happened, by our clock.

    Parameters
    ----------
    time : datetime
        When the sender says it happened.
    sent_at : datetime or None
        What the sender's clock showed when it was sent.
    received : datetime
        When it came.
    trust : str
        Of the source.

    Returns
    -------
    datetime

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    >>> late = at + timedelta(hours=2)
    >>> happened(late, late + timedelta(minutes=1), at, "browser").isoformat()
    '2026-03-01T08:59:00+00:00'
    """
    if trust != CORRECTED or sent_at is None:
        return time
    error = received - sent_at
    if abs(error) <= TOLERANCE:
        return time
    return time + error


def happened_sql(time: str, sent_at: str, received: str, trust: str) -> str:
    """Write `happened` in DuckDB's SQL.

    Parameters
    ----------
    time, sent_at, received, trust : str
        SQL expressions.

    Examples
    --------
    >>> import duckdb
    >>> at, late = "TIMESTAMPTZ '2026-03-01 09:00:00Z'", "TIMESTAMPTZ '2026-03-01 11:00:00Z'"
    >>> sql = happened_sql(late, late, at, "'browser'")
    >>> duckdb.sql(f"SELECT epoch({sql} - {at})").fetchall()
    [(0.0,)]
    """
    tolerance = TOLERANCE // timedelta(microseconds=1)
    wrong = f"abs(epoch_us({received}) - epoch_us({sent_at})) > {tolerance}"
    return (
        f"CASE WHEN {trust} = '{CORRECTED}' AND {wrong}"
        f" THEN {time} + ({received} - {sent_at}) ELSE {time} END"
    )
