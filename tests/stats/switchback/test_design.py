from __future__ import annotations

import itertools

import numpy as np
import pytest

from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.switchback.design import randomisation_points, turns
from liftwerk.stats.switchback.horvitz_thompson import conservative_variance, horvitz_thompson


def every_lot(periods: int, order: int) -> np.ndarray:
    points = randomisation_points(periods, order).shape[0]
    lots = np.array(list(itertools.product([False, True], repeat=points)))
    return turns(lots, periods, order)


def potential(rng: np.random.Generator, periods: int, order: int) -> np.ndarray:
    """Outcomes of each period for each number that the last m + 1 arms spell."""
    return rng.normal(3.0, 2.0, size=(periods, 2 ** (order + 1)))


def outcomes(table: np.ndarray, on: np.ndarray, order: int) -> np.ndarray:
    padded = np.concatenate([np.zeros(order, dtype=int), on.astype(int)])
    spelt = sum(padded[lag : lag + on.size] << lag for lag in range(order + 1))
    return table[np.arange(on.size), spelt]


def test_points_are_those_of_the_paper():
    """Example of section 3: T = 12, m = 2 has T* = {1, 5, 7, 9}."""
    assert (randomisation_points(12, 2) + 1).tolist() == [1, 5, 7, 9]
    assert (randomisation_points(5, 1) + 1).tolist() == [1, 3, 4]


@pytest.mark.parametrize(("periods", "order"), [(10, 1), (16, 2), (24, 3)])
def test_over_all_lots_the_estimator_is_unbiased_and_its_variance_bounded(periods, order):
    rng = np.random.default_rng(order)
    table = potential(rng, periods, order)
    truth = (table[order:, -1] - table[order:, 0]).mean()
    found, bounds = [], []
    for on in every_lot(periods, order):
        value = outcomes(table, on, order)
        value[:order] = 0.0
        spans = value[order:].reshape(-1, order).sum(axis=1)
        assert spans.size == periods // order - 1
        found.append(point(value, on, order))
        bounds.append(conservative_variance(value, on, order))
    assert np.mean(found) == pytest.approx(truth, abs=1e-12)
    assert np.mean(bounds) >= np.var(found)
    assert np.mean(bounds) < 2.0 * np.var(found)


def test_the_bound_is_the_variance_where_arms_do_the_same():
    """What is bounded is products of different arms' outcomes: with equal ones nothing is lost."""
    periods, order = 12, 2
    table = np.repeat(np.full((periods, 1), 2.0), 8, axis=1)
    found, bounds = [], []
    for on in every_lot(periods, order):
        found.append(point(table[:, 0], on, order))
        bounds.append(conservative_variance(table[:, 0], on, order))
    assert np.mean(bounds) == pytest.approx(np.var(found), rel=1e-12)


def point(value: np.ndarray, on: np.ndarray, order: int) -> float:
    """The estimator written out, period by period, from the paper's equation."""
    total = 0.0
    points = set(randomisation_points(value.size, order).tolist())
    for t in range(order, value.size):
        window = on[t - order : t + 1]
        lots = 1 + sum(s in points for s in range(t - order + 1, t + 1))
        if window.all():
            total += value[t] * 2.0**lots
        elif not window.any():
            total -= value[t] * 2.0**lots
    return total / (value.size - order)


def test_the_estimate_is_the_papers_equation():
    rng = np.random.default_rng(3)
    lots = rng.random(randomisation_points(90, 3).size) < 0.5
    on = turns(lots, 90, 3)
    value = rng.normal(5.0, 1.0, 90)
    found = horvitz_thompson(value, on, 3)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(point(value, on, 3), rel=1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="no multiple"):
        randomisation_points(13, 2)
    with pytest.raises(ValueError, match="no multiple"):
        randomisation_points(6, 2)
    on = np.arange(12) % 3 == 0
    with pytest.raises(ValueError, match="between the design's points"):
        horvitz_thompson(np.ones(12), on, 2)
    few = horvitz_thompson(np.ones(12), np.repeat([True, False, True], 4), 2)
    assert isinstance(few, Unknown)
    assert few.needs == "42 periods"
