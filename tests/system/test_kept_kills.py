"""Who fills and follows views is killed at every place that matters, and nothing differs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.identity.histories import history
from tests.system.kept_kills import Pair, stages

pytestmark = pytest.mark.slow

FILLING = ("before:1", "after:1", "before:2", "after:2", "before:1", "after:1", "before:3")
FOLLOWING = ("before:1", "before:2", "after:1")
POINTS = 20


def test_kills_while_views_are_filled_and_follow_change_nothing(tmp_path: Path) -> None:
    draw = random.Random(20)
    first, *later = stages(history(draw, events=64), 4)
    pair = Pair(tmp_path)
    hour = pair.live(first, sort=True)
    for moment in FILLING:
        assert pair.kill(hour, f"online_commit:{moment}"), moment
    # Also what ends a fill, and what begins the next view's, is killed.
    while pair.kill(hour, "online_commit:after:1"):
        pass
    pair.follow(hour)
    pair.compare()
    for place, steps in enumerate(later):
        hour = pair.live(steps, sort=place % 2 == 1)
        for moment in FOLLOWING:
            pair.kill(hour, f"online_commit:{moment}")
        assert not pair.kill(hour)
        pair.follow(hour)
        pair.compare()
    assert pair.counts["killed"] >= POINTS, pair.counts
    assert pair.counts["rows"] > 50, pair.counts
