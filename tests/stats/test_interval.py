from __future__ import annotations

import numpy as np
import pytest

from liftwerk.stats import tails
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import (
    hall_quantile,
    interval,
    interval_of_difference,
    skew_of_mean,
    standard_error,
)
from liftwerk.stats.off_policy.scores import Scores


def of_mean(values: np.ndarray) -> Scores:
    mean = float(values.mean())
    return Scores(mean, values - mean)


def test_standard_error_is_the_textbook_one():
    values = np.random.default_rng(0).normal(size=300)
    expected = values.std(ddof=1) / np.sqrt(300)
    assert standard_error(values - values.mean()) == pytest.approx(expected)


def test_folds_with_different_values_add_no_error():
    rng = np.random.default_rng(0)
    folds = np.repeat(np.arange(4), 250)
    noise = rng.normal(size=1000)
    shifted = noise + 50.0 * folds
    alone = standard_error(noise, folds)
    assert standard_error(shifted - shifted.mean(), folds) == pytest.approx(alone)
    assert standard_error(shifted - shifted.mean()) > 10 * alone


def test_halls_quantile_solves_his_cubic():
    for skew in (-0.4, -0.05, 0.1, 0.35):
        for z in (-1.96, 0.3, 1.96):
            t = float(hall_quantile(z, skew))
            a, b = skew / 3, skew / 6
            assert t + a * t**2 + a**2 * t**3 / 3 + b == pytest.approx(z, abs=1e-12)


def test_correction_balances_the_misses():
    """Means of 300 exponentials: the plain interval misses above twice as often as below."""
    rng = np.random.default_rng(4)
    below = above = 0
    for _ in range(4000):
        answer = interval(of_mean(rng.exponential(size=300)), method="mean")
        assert isinstance(answer, Estimate)
        below += answer.low > 1.0
        above += answer.high < 1.0
    assert 0.016 < below / 4000 < 0.036
    assert 0.016 < above / 4000 < 0.036


def test_the_interval_of_a_difference_is_symmetric():
    rng = np.random.default_rng(1)
    answer = interval_of_difference(of_mean(rng.exponential(size=500)), method="difference")
    assert isinstance(answer, Estimate)
    assert answer.high - answer.value == pytest.approx(answer.value - answer.low)
    wider = interval_of_difference(of_mean(rng.exponential(size=500)), method="difference", z=3.0)
    assert wider.high - wider.value == pytest.approx(3.0 * wider.standard_error)


def test_nothing_varies():
    assert isinstance(interval(of_mean(np.full(100, 0.3)), method="mean"), Unknown)
    assert isinstance(interval_of_difference(of_mean(np.zeros(100)), method="mean"), Unknown)


def test_one_row_that_carries_everything_is_no_ground_for_an_interval():
    values = np.zeros(1000)
    values[3] = 50.0
    answer = interval(of_mean(values), method="mean")
    assert isinstance(answer, Unknown)
    assert "1000 rows" in answer.reason
    assert isinstance(interval_of_difference(of_mean(values), method="mean"), Unknown)


def test_skew_of_a_mean():
    values = np.random.default_rng(0).exponential(size=5000)
    influence = values - values.mean()
    expected = tails.skewness(values) / np.sqrt(5000)
    found = skew_of_mean(influence, standard_error(influence))
    assert found == pytest.approx(expected, rel=1e-3)


def test_cochrans_rule():
    """Figures by hand: 1% of ones has skewness 0.98 / sqrt(0.0099), so 28 + 25 * 97.01 rows."""
    values = np.zeros(100)
    values[0] = 1.0
    assert tails.skewness(values) == pytest.approx(0.98 / np.sqrt(0.0099))
    assert tails.rows_needed(values) == int(28 + 25 * 0.98**2 / 0.0099) + 1
    assert isinstance(tails.too_heavy(values), Unknown)
    assert tails.too_heavy(np.tile(values, 25)) is None


def test_published_orders_pass_and_lognormal_ones_do_not(published):
    _, reference = published
    assert tails.too_heavy(reference.spend) is None
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(50):
        heavy = np.where(reference.spend > 0, rng.lognormal(3.4, 1.6, reference.spend.shape), 0.0)
        refused += tails.too_heavy(heavy) is not None
    assert refused >= 48


def test_sizes_are_rounded_up_to_two_digits():
    sizes = [7, 99, 101, 12_480, 990_001]
    assert [tails.two_digits(n) for n in sizes] == [7, 99, 110, 13_000, 1_000_000]
