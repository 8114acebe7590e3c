"""The generator was frozen before any method was tuned on it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from liftwerk.simulation import email_trial
from liftwerk.simulation.email_trial import WORLDS, world

SHA256 = "20c57eaeaf0220178a47ea3757087045914983053133b005267f2addf4dbeab4"


def test_the_generator_is_the_frozen_one():
    found = hashlib.sha256(Path(email_trial.__file__).read_bytes()).hexdigest()
    assert found == SHA256, (
        "the simulated worlds changed: every figure judged in them has to be made again, "
        "then record the new hash here"
    )


@pytest.mark.parametrize("name", WORLDS)
def test_draws_have_the_stated_means(name, published):
    truth = world(name, *published)
    trial = truth.draw(np.random.default_rng(11), 100_000)
    arms = np.bincount(trial.action, minlength=3) / 100_000
    assert np.abs(arms - 1 / 3).max() < 4.5 * np.sqrt(2 / 9 / 100_000)
    for arm in range(3):
        inside = trial.action == arm
        for outcome, drawn in (("visit", trial.visit), ("spend", trial.spend)):
            error = drawn[inside].std() / np.sqrt(inside.sum())
            off = drawn[inside].mean() - truth.mean(outcome)[:, arm].mean()
            assert abs(off) < 4.5 * error, (arm, outcome)
    assert (trial.visit[trial.spend > 0] == 1).all()


def test_worlds_differ_as_they_say(published):
    effects = {}
    for name in WORLDS:
        truth = world(name, *published)
        assert (truth.order <= truth.visit).all()
        # Nothing was clipped: means are what the description says.
        assert truth.visit.min() > 0.001
        assert truth.visit.max() < 0.999
        for outcome in ("visit", "spend"):
            mean = truth.mean(outcome)
            effects[name, outcome] = mean[:, 1:] - mean[:, :1]
    for outcome in ("visit", "spend"):
        assert effects["constant_effect", outcome].std(axis=0).max() < 1e-9
        assert np.abs(effects["nothing_works", outcome]).max() == 0.0
        assert effects["harm", outcome].max() < 0.0
        assert effects["resampled", outcome].mean() > 0.0
    assert effects["planted", "visit"][:, 0].std() < 1e-9
    assert effects["planted", "visit"][:, 1].std() == pytest.approx(0.0239, abs=1e-3)
    same = world("lognormal", *published).mean("spend") == world("resampled", *published).mean(
        "spend"
    )
    assert same.all()


def test_the_same_seed_draws_the_same_trial(published):
    truth = world("lognormal", *published)
    first = truth.draw(np.random.default_rng(5))
    second = truth.draw(np.random.default_rng(5))
    np.testing.assert_array_equal(first.spend, second.spend)
    np.testing.assert_array_equal(first.columns["channel"], second.columns["channel"])
