from __future__ import annotations

import numpy as np
import pytest

from liftwerk.stats.deciles import deciles
from liftwerk.stats.estimate import Estimate, Unknown


def test_groups_are_sorted_even_and_whole():
    rng = np.random.default_rng(0)
    predicted, scores = rng.normal(size=1003), rng.normal(size=1003)
    found = deciles(predicted, scores)
    assert [tenth.number for tenth in found] == list(range(1, 11))
    assert sum(tenth.n for tenth in found) == 1003
    assert {tenth.n for tenth in found} == {100, 101}
    means = [tenth.predicted for tenth in found]
    assert means == sorted(means, reverse=True)
    total = sum(tenth.point * tenth.n for tenth in found) / 1003
    assert total == pytest.approx(scores.mean())


def test_observed_intervals_hold_the_effect():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(150):
        effect = rng.random(4000)
        for tenth in deciles(effect, effect + rng.normal(size=4000)):
            assert isinstance(tenth.observed, Estimate)
            held.append(tenth.observed.low <= tenth.predicted <= tenth.observed.high)
    assert 0.93 < np.mean(held) < 0.97


def test_another_order_can_be_given():
    predicted = np.array([1.0, 2.0, 3.0, 4.0])
    found = deciles(predicted, predicted + 1.0, 2, priority=np.array([9.0, 8.0, 1.0, 0.0]))
    assert [tenth.predicted for tenth in found] == [1.5, 3.5]


def test_a_tenth_without_spread_is_unknown_but_keeps_its_point():
    scores = np.concatenate([np.zeros(50), np.arange(50.0)])
    first, second = deciles(np.arange(100.0)[::-1], scores, groups=2)
    assert isinstance(first.observed, Unknown)
    assert first.point == 0.0
    assert isinstance(second.observed, Estimate)


def test_too_few_rows_for_ten_groups():
    assert deciles(np.arange(5.0), np.arange(5.0)) == ()
