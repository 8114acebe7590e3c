from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from liftwerk.stats.simultaneous import covariance_of_means, joint


def test_independent_columns_need_sidaks_value():
    found = joint(np.eye(5), np.random.default_rng(0))
    sidak = ndtri(0.5 + 0.5 * 0.95 ** (1 / 5))
    assert found.critical == pytest.approx(sidak, abs=0.02)


def test_scale_does_not_matter_and_the_seed_decides():
    rng = np.random.default_rng(3)
    influence = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3))
    one = joint(covariance_of_means(influence), np.random.default_rng(1))
    scaled = joint(
        covariance_of_means(influence * np.array([1.0, 1e6, 1e-3])), np.random.default_rng(1)
    )
    assert one.critical == pytest.approx(scaled.critical, abs=1e-9)
    assert one.critical == joint(covariance_of_means(influence), np.random.default_rng(1)).critical


def test_duplicates_mirrors_and_constants_cost_nothing():
    rng = np.random.default_rng(0)
    column = rng.normal(size=(1000, 1))
    alone = joint(covariance_of_means(column), np.random.default_rng(5))
    together = np.hstack([column, column, -2.0 * column, np.zeros((1000, 1))])
    found = joint(covariance_of_means(together), np.random.default_rng(5))
    assert found.critical == alone.critical
    assert found.critical == pytest.approx(1.96, abs=0.02)
    assert found.standard_errors[3] == 0.0
    assert found.standard_errors[2] == pytest.approx(2.0 * found.standard_errors[0])


def test_nothing_varies():
    found = joint(np.zeros((3, 3)), np.random.default_rng(0))
    assert found.critical == 0.0
    assert not found.standard_errors.any()


def test_joint_coverage():
    """Five correlated means of 200: all hold at once in 95% of 1,500 trials, within chance."""
    rng = np.random.default_rng(11)
    mix = rng.normal(size=(5, 5))
    held = 0
    for _ in range(1500):
        rows = rng.normal(size=(200, 5)) @ mix
        covariance = covariance_of_means(rows)
        found = _small(covariance)
        held += bool((np.abs(rows.mean(axis=0)) <= found[1] * found[0]).all())
    assert 0.932 < held / 1500 < 0.966


def _small(covariance: np.ndarray) -> tuple[np.ndarray, float]:
    """The same with one critical value for the true correlation, drawn once."""
    if "critical" not in _KEPT:
        _KEPT["critical"] = joint(covariance, np.random.default_rng(0)).critical
    return np.sqrt(np.diag(covariance)), _KEPT["critical"]


_KEPT: dict[str, float] = {}


def test_a_fold_of_one_row_is_refused():
    with pytest.raises(ValueError, match="no spread"):
        covariance_of_means(np.zeros((3, 1)), np.array([0, 0, 1]))
