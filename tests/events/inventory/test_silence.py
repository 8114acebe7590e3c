from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from liftwerk.definitions.typed import Duration
from liftwerk.events.inventory.silence import HOUR, silence

START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""


def hour(at: datetime) -> int:
    return int(at.timestamp()) // 3600


def judge(arrivals: list[datetime], now: datetime, declared: str | None = None) -> str:
    by_hour: dict[int, int] = {}
    for at in arrivals:
        by_hour[hour(at)] = by_hour.get(hour(at), 0) + 1
    length = None
    if declared is not None:
        length = Duration(declared)
    return silence(max(arrivals), by_hour, now, length).state


def shop(days: int, seed: int = 1) -> list[datetime]:
    """Random arrivals by day; hardly any at night, none on Sundays."""
    rng = random.Random(seed)
    found = []
    for step in range(days * 24 * 6):
        at = START + step * timedelta(minutes=10)
        if at.weekday() == 6:
            continue
        rate = 0.02
        if 8 <= at.hour < 20:
            rate = 0.9
        if rng.random() < rate:
            found.append(at + timedelta(seconds=rng.randrange(600)))
    return found


def test_nights_and_sundays_are_no_silence() -> None:
    arrivals = shop(70)
    for step in range(35 * 24, 70 * 24 - 1):
        now = START + step * HOUR
        known = [at for at in arrivals if at <= now]
        assert judge(known, now) == "sending", now


@pytest.mark.parametrize("seed", range(5))
def test_a_tracking_that_breaks_at_noon_is_noticed_the_same_day(seed: int) -> None:
    broken = START + timedelta(days=36, hours=12)
    known = [at for at in shop(70, seed) if at <= broken]
    noticed = next(step for step in range(1, 100) if judge(known, broken + step * HOUR) == "silent")
    assert noticed <= 6


def test_one_outage_in_the_weeks_before_does_not_hide_another() -> None:
    outage = START + timedelta(days=21), START + timedelta(days=24)
    broken = START + timedelta(days=35, hours=8)
    known = [at for at in shop(70) if at <= broken and not outage[0] <= at < outage[1]]
    assert judge(known, broken + 10 * HOUR) == "silent"


def test_a_nightly_batch_may_be_late() -> None:
    arrivals = [
        START + timedelta(days=day, hours=2 + day % 2) + timedelta(seconds=second)
        for day in range(36)
        for second in range(500)
    ]
    last = max(arrivals)
    assert judge(arrivals, last + 30 * HOUR) == "sending"
    assert judge(arrivals, last + timedelta(days=6)) == "silent"


def test_a_silence_of_months_is_compared_with_as_long_a_time_before() -> None:
    known = shop(35)
    assert judge(known, START + timedelta(days=49)) == "silent"


def test_with_too_little_history_nothing_is_claimed() -> None:
    known = shop(10)
    found = silence(max(known), {hour(at): 1 for at in known}, max(known) + 30 * HOUR)
    assert found.state == "unknown"
    assert "too little" in found.because
    assert "silent_after" in found.because


def test_what_is_declared_counts_more_than_the_rhythm() -> None:
    known = shop(35)
    assert judge(known, max(known) + timedelta(minutes=6), "5min") == "silent"
    assert judge(known, max(known) + timedelta(days=3), "4d") == "sending"


def test_a_file_has_no_rhythm() -> None:
    known = shop(35)
    by_hour = {hour(at): 1 for at in known}
    assert silence(max(known), by_hour, max(known) + 400 * HOUR, is_file=True).state == "unknown"


def test_who_never_sent_is_not_silent() -> None:
    assert silence(None, {}, START).state == "unknown"


def test_a_clock_that_went_back_is_no_silence() -> None:
    known = shop(35)
    assert judge(known, max(known) - timedelta(days=2)) == "sending"
