"""When blocks begin, on the project's clocks.

Blocks are counted in local time from 1970-01-01, a Thursday, at midnight: blocks of 4 hours begin
at 0, 4, 8 o'clock on every day of the year, blocks of a week on Thursdays. Where clocks are put
forward, a block that would begin in the hour that is missing begins when the clocks move; where
they are put back, a block begins at the first of the two equal times and lasts until the next one
begins. So every moment lies in one block, each block is one stretch of time, and two days a year
have a block that is an hour shorter or longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct

from liftwerk.definitions.typed import Duration

EPOCH = datetime(1970, 1, 1)
"""Without a zone: midnight on the project's clocks."""

TICK = timedelta(microseconds=1)


class Block(Struct, frozen=True):
    """A stretch of time with one arm.

    Attributes
    ----------
    number : int
        Counted from `EPOCH`; neighbours in time have neighbouring numbers, but where clocks skip
        whole blocks.
    begins, ends : datetime
        In UTC; the end is the next one's beginning.
    """

    number: int
    begins: datetime
    ends: datetime

    @property
    def unit(self) -> str:
        """What the lot is given: the beginning, as text."""
        return self.begins.isoformat().replace("+00:00", "Z")


def block_at(length: Duration, at: datetime, zone: tzinfo) -> Block:
    """Find the block in which a moment lies.

    Parameters
    ----------
    length : Duration
    at : datetime
    zone : tzinfo
        The project's time zone.

    Returns
    -------
    Block

    Examples
    --------
    >>> from zoneinfo import ZoneInfo
    >>> at = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
    >>> block_at(Duration("4h"), at, ZoneInfo("Europe/Berlin")).unit
    '2026-07-01T06:00:00Z'
    """
    local = at.astimezone(zone).replace(tzinfo=None)
    number = (local - EPOCH) // length.timedelta
    ends = _moment(length, number + 1, zone)
    # In the second of two equal hours later blocks have begun already, and a block whose time is
    # missing ends when it begins.
    while ends <= at:
        number += 1
        ends = _moment(length, number + 1, zone)
    return Block(number, _moment(length, number, zone), ends)


def blocks_between(
    length: Duration, start: datetime, end: datetime, zone: tzinfo
) -> Iterator[Block]:
    """List the blocks from that in which `start` lies to the last one that begins before `end`.

    Parameters
    ----------
    length : Duration
    start, end : datetime
    zone : tzinfo

    Yields
    ------
    Block
    """
    at = start
    while at < end:
        block = block_at(length, at, zone)
        yield block
        at = block.ends


def _moment(length: Duration, number: int, zone: tzinfo) -> datetime:
    """Say when the clocks first show the beginning of a block, or have jumped over it."""
    local = EPOCH + number * length.timedelta
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    # The clocks never show it. They jump between what it is by the old offset and by the new one.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = moment
    while after - before > TICK:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < local:
            before = middle
        else:
            after = middle
    return after
