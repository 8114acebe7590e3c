from __future__ import annotations

import itertools

import numpy as np
import pytest

from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.switchback import (
    Periods,
    carry_over,
    detectable,
    effect,
    p_values,
    second_opinion,
)
from liftwerk.stats.switchback.newey_west import long_run
from liftwerk.stats.switchback.randomisation import regress
from tests.stats.switchback.cells import Cell


def drawn(cell: Cell, seed: int) -> Periods:
    return cell.draw(np.random.default_rng(seed))


def read(periods: Periods, cell: Cell, level: float = 0.95, lots: int = 999):
    rng = np.random.default_rng(7)
    return effect(periods, washout=cell.washout, share=cell.share, rng=rng, level=level, lots=lots)


def with_arms(periods: Periods, value: np.ndarray, on: np.ndarray) -> Periods:
    return Periods(value, on, periods.block, periods.age, periods.weight, periods.season)


def test_the_coefficient_is_that_of_weighted_least_squares():
    periods = drawn(Cell("better", washout=1), 1).settled(1)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, periods.value.size)
    weighted = Periods(
        periods.value, periods.on, periods.block, periods.age, weight, periods.season
    )
    place, on = weighted.blocks
    really = on.astype(float)
    a, b, able = regress(weighted, place, on.size).coefficients(really[None, :], really)
    design = np.column_stack([periods.on, periods.season]) * np.sqrt(weight)[:, None]
    plain = np.linalg.lstsq(design, periods.value * np.sqrt(weight), rcond=None)[0]
    assert a[0] == pytest.approx(plain[0], rel=1e-9)
    assert b[0] == pytest.approx(1.0)
    assert able[0]


@pytest.mark.parametrize("seed", range(8))
def test_the_p_value_is_that_of_trying_every_lot_anew(seed):
    """The closed form against the obvious one: shift the outcomes, fit each lot again."""
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(14), 2)
    on = (rng.random(14) < 0.5)[block]
    season = np.column_stack([np.ones(28), np.arange(28) % 2])
    value = rng.normal(size=28) + 1.0 * on
    periods = Periods(value, on, block, np.arange(28) % 2, np.ones(28), season)
    found = effect(periods, washout=0, share=0.5, rng=np.random.default_rng(3), level=0.9, lots=199)
    lots = np.random.default_rng(3).random((199, 14)) < 0.5

    def p_of(tau: float) -> float:
        shifted = value - tau * on

        def coefficient(arm: np.ndarray) -> float:
            return float(np.linalg.lstsq(np.column_stack([arm, season]), shifted, rcond=None)[0][0])

        seen = abs(coefficient(on))
        others = [abs(coefficient(lot[block])) for lot in lots if 0 < lot.sum() < 14]
        return (1 + sum(other >= seen - 1e-9 for other in others)) / (len(others) + 1)

    assert found.p_value == pytest.approx(p_of(0.0), abs=1e-12)
    low, high = found.estimate.low, found.estimate.high
    for inside in (low + 1e-6, high - 1e-6, found.estimate.value):
        assert p_of(inside) > 0.1
    for outside in (low - 1e-6, high + 1e-6):
        assert p_of(outside) <= 0.1


@pytest.mark.parametrize("seed", range(20))
def test_interval_and_p_value_never_contradict_each_other(seed):
    cell = Cell("better", weeks=2, memory=0.6)
    periods = drawn(cell, seed)
    for level in (0.5, 0.9, 0.95, 0.99):
        found = read(periods, cell, level)
        outside = found.estimate.low > 0.0 or found.estimate.high < 0.0
        assert outside == (found.p_value <= round(1.0 - level, 9))


def test_over_all_lots_the_test_rejects_a_true_effect_as_often_as_it_says():
    """Exact: each of the 2^12 lots in turn is the one that was drawn."""
    rng = np.random.default_rng(5)
    block = np.arange(12)
    trending = rng.normal(size=12).cumsum()
    one = np.ones((12, 1))
    everything = np.array(list(itertools.product([False, True], repeat=12)))
    able = everything[(everything.sum(axis=1) >= 3) & (everything.sum(axis=1) <= 9)]
    sample = able[rng.choice(able.shape[0], 300, replace=False)]
    p_values = []
    for lot in sample:
        periods = Periods(trending, lot, block, np.zeros(12, dtype=int), np.ones(12), one)
        p_values.append(effect(periods, washout=0, share=0.5, rng=rng, lots=199).p_value)
    rejected = np.mean(np.array(p_values) <= 0.1)
    assert rejected <= 0.1 + 3 * np.sqrt(0.09 / 300)
    assert rejected >= 0.1 - 4 * np.sqrt(0.09 / 300)


def test_outcomes_that_are_scaled_and_shifted_scale_and_shift_nothing_else():
    cell = Cell("better", memory=0.6)
    periods = drawn(cell, 3)
    before = read(periods, cell)
    after = read(with_arms(periods, 100.0 + 3.0 * periods.value, periods.on), cell)
    assert after.p_value == before.p_value
    for end in ("low", "value", "high"):
        scaled = 3.0 * getattr(before.estimate, end)
        assert getattr(after.estimate, end) == pytest.approx(scaled, rel=1e-6)


def test_the_washout_leaves_out_what_is_carried_over():
    slow = Cell("better", weeks=8, block=6, carry_over=3, washout=3)
    rash = Cell("better", weeks=8, block=6, carry_over=3, washout=0)
    patient, hasty = [], []
    for seed in range(10):
        periods = drawn(slow, seed)
        patient.append(read(periods, slow).estimate.value)
        hasty.append(read(periods, rash).estimate.value)
    assert np.mean(patient) == pytest.approx(5.0, abs=0.6)
    # Half of a block's periods are touched, on average by half: a quarter of the effect or less.
    assert np.mean(hasty) < 4.6


def test_carry_over_is_found_where_it_is_and_as_long_as_it_is():
    cell = Cell("better", weeks=12, block=6, carry_over=2)
    assert carry_over(drawn(cell, 2)).length == 2
    found = [carry_over(drawn(Cell("better", weeks=4, block=6), seed)).length for seed in range(60)]
    assert np.mean(np.array(found) > 0) <= 0.15


def test_what_is_left_at_every_age_is_found_by_all_of_them_together():
    """Four hours of memory and blocks of two: 2.0 of 5 come from the last block, 1.5 before it."""
    cell = Cell("better", weeks=4, block=2, carry_over=4)
    found = [carry_over(drawn(cell, seed)) for seed in range(60)]
    assert np.mean([one.left for one in found]) == pytest.approx(3.5, abs=0.5)
    by_age = np.mean([one.length > 0 for one in found])
    assert np.mean([one.beyond for one in found]) > max(by_age, 0.75)
    still = Cell("better", weeks=4, block=6, carry_over=4, washout=4)
    quiet = [carry_over(drawn(still, seed), washout=4) for seed in range(60)]
    assert np.mean([one.beyond for one in quiet]) <= 0.15
    assert np.mean([one.left for one in quiet]) == pytest.approx(0.0, abs=0.5)


def test_newey_west_equals_white_without_lags():
    contributions = np.random.default_rng(1).normal(size=50)
    assert long_run(contributions, 0) == pytest.approx(contributions @ contributions)
    # Statsmodels 0.14, cov_hac of ones regressed on a constant with 2 lags, by hand:
    by_hand = 3.0 + 2.0 * (2 / 3) * 2.0 + 2.0 * (1 / 3) * 1.0
    assert long_run(np.ones(3), 2) == pytest.approx(by_hand)


def test_the_second_opinion_agrees_where_noise_is_simple():
    cell = Cell("better", weeks=8)
    periods = drawn(cell, 4)
    first, second = read(periods, cell).estimate, second_opinion(periods, washout=0)
    assert second.value == pytest.approx(first.value, rel=1e-9)
    assert (second.high - second.low) == pytest.approx(first.high - first.low, rel=0.25)


def test_a_plan_by_lots_finds_what_it_says_it_finds():
    rng = np.random.default_rng(6)
    cell = Cell("nothing", weeks=3, memory=0.6)
    history = drawn(cell, 11)
    size = detectable(history, washout=0, share=0.5, rng=rng)
    seen = []
    for _ in range(100):
        on = (rng.random(history.block[-1] + 1) < 0.5)[history.block]
        periods = with_arms(history, history.value + size * on, on)
        seen.append(effect(periods, washout=0, share=0.5, rng=rng, lots=199).p_value <= 0.05)
    assert 0.68 <= np.mean(seen) <= 0.92


def test_p_values_of_many_effects_are_those_of_each_reading():
    periods = drawn(Cell("nothing", weeks=3, memory=0.6, share=0.4), 11)
    added, times = np.where(periods.on, 3.0, 0.0), [0.0, 0.5, 1.0, -2.0]
    told = {"washout": 1, "share": 0.4, "lots": 299}
    found = p_values(periods, added, times, rng=np.random.default_rng(3), **told)
    for one, many in zip(found, times, strict=True):
        moved = with_arms(periods, periods.value + many * added, periods.on)
        assert one == effect(moved, rng=np.random.default_rng(3), **told).p_value
    few = with_arms(periods, periods.value, np.zeros_like(periods.on))
    assert p_values(few, added, times, rng=np.random.default_rng(3), **told) is None


def test_refusals():
    one = np.ones((10, 1))
    block = np.arange(10)
    on = block % 2 == 0
    few = Periods(np.arange(10.0), on, block, np.zeros(10, int), np.ones(10), one)
    found = effect(few, washout=0, share=0.5, rng=np.random.default_rng(1))
    assert isinstance(found.estimate, Unknown)
    assert found.p_value is None
    assert found.estimate.needs == "12 blocks, and 3 of either arm"
    assert isinstance(second_opinion(few, washout=0), Unknown)
    assert isinstance(carry_over(few), Unknown)
    assert isinstance(detectable(few, washout=0, share=0.5, rng=np.random.default_rng(1)), Unknown)
    # The arm was on at the same hours every day: nothing tells it from the season.
    hours = np.arange(96)
    season = (hours[:, None] % 4 == np.arange(4)).astype(float)
    daily = Periods(
        np.random.default_rng(1).normal(size=96),
        hours % 2 == 0,
        hours,
        np.zeros(96, int),
        np.ones(96),
        season,
    )
    same = effect(daily, washout=0, share=0.5, rng=np.random.default_rng(1))
    assert "same hours" in same.estimate.reason
    # A washout as long as a block leaves nothing.
    gone = effect(few, washout=1, share=0.5, rng=np.random.default_rng(1))
    assert "0 settled blocks" in gone.estimate.reason


def test_periods_that_cannot_be_a_switchback_are_refused():
    right = {
        "value": np.zeros(4),
        "on": np.array([True, True, False, False]),
        "block": np.array([0, 0, 1, 1]),
        "age": np.array([0, 1, 0, 1]),
        "weight": np.ones(4),
        "season": np.ones((4, 1)),
    }
    Periods(**right)
    wrong = {
        "block has two arms": {"on": np.array([True, False, False, False])},
        "order of time": {"block": np.array([1, 1, 0, 0])},
        "not finite": {"value": np.array([0.0, np.nan, 0.0, 0.0])},
        "below 0": {"weight": np.array([1.0, -1.0, 1.0, 1.0])},
        "of shape": {"age": np.zeros(3, int)},
        "seasons": {"season": np.ones(4)},
    }
    for message, change in wrong.items():
        with pytest.raises(ValueError, match=message):
            Periods(**{**right, **change})


def test_an_estimate_rests_on_settled_periods_with_weight():
    cell = Cell("better", washout=1)
    periods = drawn(cell, 1)
    weight = np.ones(periods.value.size)
    weight[:40] = 0.0
    some = Periods(periods.value, periods.on, periods.block, periods.age, weight, periods.season)
    found = read(some, cell).estimate
    assert isinstance(found, Estimate)
    assert found.n == int(((periods.age >= 1) & (weight > 0)).sum())
