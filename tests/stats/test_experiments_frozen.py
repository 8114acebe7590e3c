"""The simulated experiments were frozen before any method was tuned on them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from liftwerk.simulation import experiments
from liftwerk.simulation.experiments import (
    METRICS,
    draw_clusters,
    draw_holdout,
    draw_units,
    holdout_truth,
    truth,
)

SHA256 = "a0dedba15c986850cd1b8c647aa0f89463be8792f6e4f571b41cecf7f8025800"


def test_the_generator_is_the_frozen_one():
    found = hashlib.sha256(Path(experiments.__file__).read_bytes()).hexdigest()
    assert found == SHA256, (
        "the simulated experiments changed: the coverage map has to be made again, "
        "then record the new hash here"
    )


@pytest.mark.parametrize("effect", [0.0, 0.2, -0.2])
@pytest.mark.parametrize("metric", METRICS)
def test_units_have_the_stated_means(metric, effect, published):
    orders = published[1].spend[published[1].spend > 0.0]
    rng = np.random.default_rng(8)
    drawn = draw_units(metric, 400_000, rng, effect=effect, orders=orders)
    for arm, stated in enumerate(truth(metric, effect, orders)):
        values = drawn.outcome[:, drawn.treated == arm]
        if len(values) == 2:
            # A ratio is right if this difference is 0 in the mean.
            values = (values[0] - stated * values[1])[None] + stated
        error = values.std() / np.sqrt(values.shape[1])
        assert abs(values.mean() - stated) < 4.0 * error
    if effect == 0.0:
        assert len(set(truth(metric, effect, orders))) == 1


def test_clusters_have_the_stated_means_and_are_alike_inside():
    for metric, stated in (("conversion", 0.1), ("light", 1.0)):
        arms = draw_clusters(metric, 20_000, 7, np.random.default_rng(1), effect=0.2)
        for factor, arm in zip((1.0, 1.2), arms, strict=True):
            mean = arm.totals[:, -1].sum() / arm.sizes[:, -1].sum()
            assert mean == pytest.approx(stated * factor, rel=0.02)
            rates = arm.totals[:, -1] / arm.sizes[:, -1]
            assert rates.std() / rates.mean() > 0.3


@pytest.mark.parametrize("pattern", ["persistent", "once"])
def test_holdouts_add_what_is_stated(pattern):
    rng = np.random.default_rng(2)
    drawn = draw_holdout(200_000, 8, rng, effect=0.5, share=0.5, pattern=pattern)
    total = drawn.spend.cumsum(axis=1)
    treated, control = total[drawn.treated], total[~drawn.treated]
    error = np.sqrt(treated.var(axis=0) / len(treated) + control.var(axis=0) / len(control))
    off = treated.mean(axis=0) - control.mean(axis=0) - holdout_truth(8, 0.5, pattern)
    assert (np.abs(off) < 4.0 * error).all()
    before, last = total[~drawn.treated, -2], drawn.spend[~drawn.treated, -1]
    covariance = float(np.cov(before, last)[0, 1])
    assert covariance > 0.0 if pattern == "persistent" else covariance < 0.0
