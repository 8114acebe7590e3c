"""The generator was frozen before any method was tuned on it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftwerk.simulation import (
    bandit_log,
    email_trial,
    geo_trial,
    geo_unseen,
    switching_shop,
    switching_unseen,
)
from liftwerk.simulation.email_trial import WORLDS, world
from liftwerk.simulation.geo_trial import WORLDS as GEO_WORLDS
from liftwerk.simulation.switching_unseen import Days

FROZEN = {
    email_trial: "20c57eaeaf0220178a47ea3757087045914983053133b005267f2addf4dbeab4",
    geo_trial: "dbca20f5a157b581ac41e1d6e31045c3e6ed0ab73a86b5771f1c8e75db4a6543",
    switching_unseen: "22053a8b1f47c348ac457a9fc30492b3354d9dab97aee749f75e3621b153a755",
    geo_unseen: "49dcb69e0d973c292195c0cb75caee661c91c78c13dc50a4a23bcbabb3cf0589",
    bandit_log: "644fdf347b360f8b69bfb460da9bdef1394c702ad5a57455562ebb9a673cfbf0",
    switching_shop: "fcdda875834897ed3dab8bc32a4cb8eaaadcccbdd71e47a93e66cf409763a2aa",
}


@pytest.mark.parametrize("generator", FROZEN, ids=lambda generator: generator.__name__)
def test_the_generator_is_the_frozen_one(generator):
    found = hashlib.sha256(Path(generator.__file__).read_bytes()).hexdigest()
    assert found == FROZEN[generator], (
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


@pytest.mark.parametrize("contextual", [False, True])
@pytest.mark.parametrize("bandit", bandit_log.BANDITS)
def test_logged_probabilities_are_those_that_arms_were_drawn_with(bandit, contextual):
    rng = np.random.default_rng(3)
    logs = bandit_log.draw(
        rng, "flips", "noise", bandit, logs=40, batches=10, size=200, contextual=contextual
    )
    chances = logs.probabilities
    assert np.allclose(chances.sum(axis=2), 1.0)
    assert chances.min() >= 0.1 / 3 - 1e-12
    drawn = logs.action[:, :, None] == np.arange(bandit_log.ARMS)
    error = (drawn - chances)[:, 200:]
    spread = np.sqrt((chances * (1.0 - chances))[:, 200:].sum(axis=(0, 1)))
    assert (np.abs(error.sum(axis=(0, 1))) < 4.5 * spread).all()
    first = (drawn[:, :200]).mean(axis=(0, 1))
    assert np.abs(first - 1 / 3).max() < 4.5 * np.sqrt(2 / 9 / 8000)


@pytest.mark.parametrize("outcome", bandit_log.OUTCOMES)
@pytest.mark.parametrize("world_name", bandit_log.FACTORS)
def test_arms_of_a_log_earn_the_stated_means(world_name, outcome):
    rng = np.random.default_rng(4)
    logs = bandit_log.draw(
        rng, world_name, outcome, "thompson", logs=1, batches=1, size=300_000, contextual=False
    )
    for segment in range(2):
        for arm in range(bandit_log.ARMS):
            inside = (logs.action == arm) & (logs.segment == segment)
            reward = logs.reward[inside]
            off = reward.mean() - bandit_log.means(world_name, outcome)[segment, arm]
            assert abs(off) < 4.5 * reward.std() / np.sqrt(reward.size)


def test_a_switch_takes_as_many_hours_as_its_carry_over():
    on = np.zeros(48, dtype=bool)
    on[10:30] = True
    effect = switching_shop.switched(np.zeros(48), on, "harm", 3)
    assert effect[9] == 0.0
    assert effect[13:30].tolist() == [-5.0] * 17
    assert effect[[10, 11, 12, 30, 31, 32, 33]].tolist() == [
        -1.25, -2.5, -3.75, -3.75, -2.5, -1.25, 0.0,
    ]  # fmt: skip


@pytest.mark.parametrize("tail", switching_shop.TAILS)
def test_the_noise_of_hours_remembers_as_stated(tail):
    rng = np.random.default_rng(5)
    remembered = switching_shop.undisturbed(rng, 24 * 7 * 600, memory=0.6, tail=tail)
    season = remembered.reshape(600, -1).mean(axis=0)
    noise = (remembered.reshape(600, -1) - season).ravel()
    assert noise.std() == pytest.approx(switching_shop.NOISE, rel=0.05)
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("name", GEO_WORLDS)
def test_geo_worlds_add_what_they_say(name):
    truth = GEO_WORLDS[name]
    rng = np.random.default_rng(17)
    trial = truth.draw(rng, markets=30, treated=3, before=120, during=60)
    rows = np.arange(180) >= 120
    np.testing.assert_array_equal(
        trial.outcome[:, ~trial.treated], trial.untreated[:, ~trial.treated]
    )
    np.testing.assert_array_equal(trial.outcome[~rows], trial.untreated[~rows])
    assert trial.treated.sum() == 3
    assert trial.untreated.min() > 0.0
    without = trial.untreated[np.ix_(rows, trial.treated)]
    assert trial.effect == pytest.approx(truth.lift * without.mean(), rel=0.03, abs=1e-9)
    steps = np.diff(without, axis=0)
    assert (steps != 0.0).all()


def test_geo_noise_remembers_as_it_says():
    trial = replace(GEO_WORLDS["autocorrelated"], season=0.0, noise=1.0, lift=0.0).draw(
        np.random.default_rng(3), markets=40, treated=1, before=900, during=10
    )
    relative = trial.outcome / trial.outcome.mean(axis=0)
    apart = relative - relative.mean(axis=1, keepdims=True)
    apart -= apart.mean(axis=0)
    found = (apart[1:] * apart[:-1]).sum() / (apart * apart).sum()
    assert found == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", [*geo_unseen.FIRST, *geo_unseen.SECOND])
def test_unseen_geo_worlds_add_what_they_say(name):
    truth = (geo_unseen.FIRST | geo_unseen.SECOND)[name]
    given = {"markets": 30, "treated": 3, "before": 120, "during": 60}
    none, some = (truth.draw(np.random.default_rng(18), **given, lift=lift) for lift in (0.0, 0.2))
    assert none.effect == 0.0
    np.testing.assert_array_equal(none.untreated, some.untreated)
    np.testing.assert_array_equal(some.outcome[:, ~some.treated], some.untreated[:, ~some.treated])
    np.testing.assert_array_equal(some.outcome[:120], some.untreated[:120])
    assert some.untreated.min() >= 0.0
    without = some.untreated[120:, some.treated]
    allowed = 0.05
    if truth.counted:
        allowed = 4.0 / np.sqrt(0.2 * without.sum()) + 0.02
    assert some.effect == pytest.approx(0.2 * without.mean(), rel=allowed)
    assert (some.outcome == np.rint(some.outcome)).all() == bool(truth.counted)


def test_unseen_days_add_what_they_say():
    given = Days("conversion", 60_000, lasting=0.5, novelty=0.5)
    day, treated, outcome, truth = given.draw(np.random.default_rng(19), 14)
    for last in (0, 6, 13):
        so_far = day <= last
        arms = [outcome[so_far & (treated == arm)] for arm in (False, True)]
        error = np.sqrt(sum(arm.var() / arm.size for arm in arms))
        assert abs(arms[1].mean() - arms[0].mean() - truth[1, last]) < 4.0 * error


@pytest.mark.parametrize("name", switching_unseen.HOURS)
def test_unseen_hours_add_the_lift_where_the_arm_is_always_on(name):
    hours = switching_unseen.HOURS[name]
    never, always = np.zeros(500, dtype=bool), np.ones(500, dtype=bool)
    draws = [hours.draw(np.random.default_rng(20), on, 0.1) for on in (never, always)]
    np.testing.assert_allclose((draws[1] - draws[0])[100:], 10.0, rtol=1e-3)
