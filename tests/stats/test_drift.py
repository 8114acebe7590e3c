"""A distribution that changed is told from chance, and few values are told to be few."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, chi2_contingency

from liftwerk.stats.counts import is_share_above, is_unusual
from liftwerk.stats.drift import ALPHA, Drift, drift, stability_index
from liftwerk.stats.estimate import Unknown

RUNS = 2000


def counted(ends: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(ends, values, side="left"), minlength=len(ends) + 1)


def deciles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(values, np.arange(1, 10) / 10)


def test_the_index_is_the_published_one() -> None:
    """The example of KAscore's psi(), whose counts R draws with set.seed(123)."""
    # https://ketchbrookanalytics.github.io/KAscore/reference/psi.html
    development, monitoring = [248, 247, 260, 245], [13, 43, 63, 81]
    assert stability_index(development, monitoring) == pytest.approx(0.3404592, abs=5e-8)


def test_an_empty_cell_has_no_infinite_index() -> None:
    assert 0 < stability_index([500, 500, 0], [480, 480, 40]) < 0.2
    assert stability_index([500, 500], [500, 500]) == 0


def test_the_test_is_pearsons() -> None:
    one, other = [120, 90, 40, 250], [150, 80, 70, 300]
    found = drift(one, other)
    assert isinstance(found, Drift)
    wanted = chi2_contingency(np.array([one, other]), correction=False).pvalue
    assert found.p_value == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("m", "n"), [(2000, 170), (2000, 2000), (300, 5000)])
def test_chance_is_seldom_taken_for_a_change(m: int, n: int) -> None:
    draw = np.random.default_rng(m + n)
    alarms = small = 0
    for _ in range(RUNS):
        reference, values = draw.lognormal(size=m), draw.lognormal(size=n)
        ends = deciles(reference)
        found = drift(counted(ends, reference), counted(ends, values), threshold=0.2)
        assert isinstance(found, Drift)
        alarms += found.changed
        small += found.p_value < 0.05
    assert alarms <= binom.ppf(0.999, RUNS, ALPHA)
    assert binom.ppf(0.001, RUNS, 0.05) <= small <= binom.ppf(0.999, RUNS, 0.06)


@pytest.mark.parametrize(("shift", "least"), [(0.7, 0.97), (1.0, 1.0)])
def test_a_planted_change_is_found(shift: float, least: float) -> None:
    """An index of 0.47 and 0.96 in truth, with 300 values."""
    draw = np.random.default_rng(11)
    runs, found = 300, 0
    for _ in range(runs):
        reference, values = draw.normal(size=2000), draw.normal(shift, 1, size=300)
        ends = deciles(reference)
        answer = drift(counted(ends, reference), counted(ends, values), threshold=0.2)
        found += isinstance(answer, Drift) and answer.changed
    assert found >= least * runs


def test_a_small_change_of_many_values_is_none() -> None:
    """A hundred thousand values make any difference significant; it matters to nobody."""
    draw = np.random.default_rng(3)
    reference, values = draw.normal(size=100_000), draw.normal(0.05, 1, size=100_000)
    ends = deciles(reference)
    found = drift(counted(ends, reference), counted(ends, values))
    assert isinstance(found, Drift)
    assert found.p_value < 1e-6
    assert not found.changed


def test_too_few_values_have_no_verdict() -> None:
    few = drift([200] * 10, [14] * 10)
    assert isinstance(few, Unknown)
    needed = int(few.needs.split()[0])
    assert isinstance(drift([200] * 10, [needed, *[0] * 9]), Drift)
    assert isinstance(drift([200] * 10, [needed - 1, *[0] * 9]), Unknown)
    assert isinstance(drift([5] * 10, [1000] * 10), Unknown)
    assert isinstance(drift([0] * 10, [1000] * 10), Unknown)


def test_a_share_above_its_limit_is_told_from_chance() -> None:
    draw = np.random.default_rng(5)
    hits = draw.binomial(400, 0.2, size=RUNS)
    alarms = sum(is_share_above(int(one), 400, 0.2) is True for one in hits)
    assert alarms <= binom.ppf(0.999, RUNS, ALPHA)
    more = draw.binomial(400, 0.32, size=RUNS)
    assert sum(is_share_above(int(one), 400, 0.2) is True for one in more) > 0.95 * RUNS
    assert is_share_above(1, 1000, 0.0) is True
    assert is_share_above(1000, 1000, 1.0) is False
    assert isinstance(is_share_above(0, 0, 0.5), Unknown)


def test_an_unusual_day_is_told_from_chance() -> None:
    draw = np.random.default_rng(6)
    days = draw.poisson(12, size=RUNS)
    alarms = sum(is_unusual(int(one), 12, 0.3) is True for one in days)
    assert alarms <= binom.ppf(0.999, RUNS, 2 * ALPHA)
    assert is_unusual(0, 100, 0.5) is True
    assert is_unusual(300, 100, 0.5) is True
    assert isinstance(is_unusual(0, 3, 0.5), Unknown)
