from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.definitions.typed import Duration
from liftwerk.experiments.switchback.blocks import block_at, blocks_between

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), UTC]
LENGTHS = ["5min", "20min", "30min", "1h", "90min", "4h", "5h", "24h", "7d"]
FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)
BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("around", [FORWARD, BACK, datetime(2026, 4, 4, 15, tzinfo=UTC)])
def test_blocks_follow_one_another_without_gap_or_overlap(zone, length, around):
    start, end = around - timedelta(hours=5), around + timedelta(hours=30)
    blocks = list(blocks_between(Duration(length), start, end, zone))
    assert blocks[0].begins <= start
    assert blocks[-1].ends >= end
    for one, following in pairwise(blocks):
        assert one.begins < one.ends == following.begins
        assert one.number < following.number


@given(
    at=st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),
    zone=st.sampled_from(ZONES),
    length=st.sampled_from(LENGTHS),
)
def test_every_moment_of_a_block_finds_the_same_block(at, zone, length):
    moment = at.replace(tzinfo=UTC)
    block = block_at(Duration(length), moment, zone)
    assert block.begins <= moment < block.ends
    last = block.ends - timedelta(microseconds=1)
    for other in (block.begins, last, block.begins + (block.ends - block.begins) / 2):
        assert block_at(Duration(length), other, zone) == block


@pytest.mark.parametrize("length", ["1h", "4h", "24h"])
def test_blocks_begin_at_the_same_hours_of_the_clock_all_year(length):
    hours = set()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for block in blocks_between(Duration(length), start, start + timedelta(days=364), BERLIN):
        local = block.begins.astimezone(BERLIN)
        assert local.minute == 0
        hours.add(local.hour)
    assert len(hours) == 24 // (Duration(length).microseconds // 3_600_000_000)


def test_the_hour_that_is_missing_and_the_hour_that_is_twice():
    forward = list(
        blocks_between(
            Duration("2h"), FORWARD - timedelta(hours=1), FORWARD + timedelta(hours=2), BERLIN
        )
    )
    assert [(block.ends - block.begins) / timedelta(hours=1) for block in forward] == [2, 1, 2]
    back = list(blocks_between(Duration("2h"), BACK - timedelta(hours=3), BACK, BERLIN))
    assert [(block.ends - block.begins) / timedelta(hours=1) for block in back] == [2, 3]
    # Blocks of half an hour that the missing hour would hold are none.
    short = list(blocks_between(Duration("30min"), FORWARD, FORWARD + timedelta(minutes=1), BERLIN))
    assert short[0].begins == FORWARD
    assert short[0].begins.astimezone(BERLIN).hour == 3
    # Of two equal hours the second belongs to the last block that began in the first.
    twice = [
        block_at(Duration("30min"), BACK + timedelta(minutes=minutes), BERLIN)
        for minutes in (0, 29, 59)
    ]
    assert len({block.number for block in twice}) == 1
    assert twice[0].begins == BACK - timedelta(minutes=30)


def test_a_clock_that_jumps_within_a_block_ends_none():
    """Blocks of 5 hours: 02:00 to 03:00 is missing inside of one of them."""
    block = block_at(Duration("5h"), FORWARD, BERLIN)
    assert block.begins < FORWARD < block.ends
    assert block.ends - block.begins == timedelta(hours=4)
