from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, dirichlet_multinomial, multinomial

from liftwerk.stats.sample_ratio import at_a_fixed_look, at_any_time

SHARES = np.array([0.5, 0.3, 0.2])


def test_the_fixed_look_is_pearsons():
    counts = np.array([520, 290, 190])
    assert at_a_fixed_look(counts, SHARES) == pytest.approx(
        chisquare(counts, SHARES * counts.sum()).pvalue
    )


def test_the_sequence_is_the_bayes_factor_of_its_prior():
    counts, weight = np.array([17, 4, 9]), 40.0
    alternative = dirichlet_multinomial(weight * SHARES, counts.sum()).pmf(counts)
    null = multinomial(counts.sum(), SHARES).pmf(counts)
    assert at_any_time(counts, SHARES, weight) == pytest.approx(min(null / alternative, 1.0))


def test_scale_of_shares_does_not_matter():
    assert at_any_time([60, 30], [2, 1]) == pytest.approx(at_any_time([60, 30], [2 / 3, 1 / 3]))


def test_looking_every_hour_rings_seldom_where_nothing_is_wrong():
    """400 looks each: the sequence errs in at most 5% of 500 experiments, chi-squared in most."""
    rng = np.random.default_rng(8)
    sequential = peeked = 0
    for _ in range(500):
        looks = rng.multinomial(50, SHARES, 400).cumsum(axis=0)
        sequential += min(at_any_time(counts, SHARES, 500.0) for counts in looks) <= 0.05
        peeked += min(at_a_fixed_look(counts, SHARES) for counts in looks[::10]) <= 0.05
    assert sequential <= 25 + 3 * np.sqrt(500 * 0.05 * 0.95)
    assert peeked > 100


def test_a_mismatch_of_a_percentage_point_is_found():
    """51 to 49 in a hundred thousand units rings; a tenth of that is chance."""
    counts = np.array([51_000, 49_000])
    assert at_any_time(counts, [0.5, 0.5]) < 1e-6
    assert at_any_time([50_100, 49_900], [0.5, 0.5]) == 1.0


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="as many shares"):
        at_any_time([1, 2, 3], [0.5, 0.5])
    with pytest.raises(ValueError, match="without a share"):
        at_any_time([1, 2], [1.0, 0.0])
