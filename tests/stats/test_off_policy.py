from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.stats.off_policy import ESTIMATORS, Scores
from liftwerk.stats.off_policy.kinds import direct_method, doubly_robust
from liftwerk.stats.off_policy.kinds.direct_method import calibrate
from liftwerk.stats.off_policy.kinds.doubly_robust import action_scores
from liftwerk.stats.off_policy.scores import weights

REFERENCE = json.loads((Path(__file__).parent / "data" / "obp_reference.json").read_text())
BY_KEY = {estimator.key: estimator for estimator in ESTIMATORS}


def drawn(seed: int, n: int = 500, actions: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    logged = rng.dirichlet(np.full(actions, 3.0), size=n)
    cumulated = logged.cumsum(axis=1)
    action = (rng.random((n, 1)) * cumulated[:, -1:] > cumulated).sum(axis=1)
    return {
        "reward": rng.normal(size=n) + action,
        "action": action,
        "logged": logged,
        "policy": rng.dirichlet(np.ones(actions), size=n),
        "predicted": rng.normal(size=(n, actions)),
    }


@pytest.mark.parametrize("case", REFERENCE["cases"])
@pytest.mark.parametrize("key", BY_KEY)
def test_values_equal_open_bandit_pipeline(case, key):
    stored = REFERENCE["cases"][case]
    inputs = {name: np.array(values) for name, values in stored["inputs"].items()}
    value = BY_KEY[key].influence(**inputs).value
    assert abs(value - stored["values"][key]) <= 1e-9


@pytest.mark.parametrize("key", ["ips", "snips", "dr"])
@given(seed=st.integers(0, 10_000))
def test_influence_is_centred(key, seed):
    scores = BY_KEY[key].influence(**drawn(seed))
    assert abs(scores.influence.mean()) < 1e-10 * (1.0 + np.abs(scores.influence).max())


@pytest.mark.parametrize("key", BY_KEY)
def test_influence_predicts_what_one_more_row_does(key):
    """The influence is the derivative: doubling a row moves the value by it, over n."""
    inputs = drawn(3, n=4000)
    before = valued(key, inputs)
    moved = []
    rows = np.arange(0, 4000, 100)
    for row in rows:
        more = {n: np.concatenate([array, array[row : row + 1]]) for n, array in inputs.items()}
        moved.append((valued(key, more).value - before.value) * 4001)
    expected = before.influence[rows]
    # Calibrating again moves far rows a little further: an effect of second order.
    np.testing.assert_allclose(moved, expected, atol=0.15 * np.abs(expected).max())


def valued(key: str, inputs: dict[str, np.ndarray]) -> Scores:
    """Value with a model that is calibrated where the estimator's influence supposes it."""
    model = inputs["predicted"]
    if key == "dm":
        model = calibrate(**inputs)
    return BY_KEY[key].influence(**(inputs | {"predicted": model}))


@pytest.mark.parametrize("key", ["ips", "snips"])
def test_the_logged_policy_earned_the_mean(key):
    inputs = drawn(5)
    inputs["policy"] = inputs["logged"]
    assert BY_KEY[key].influence(**inputs).value == pytest.approx(inputs["reward"].mean())


def test_a_shift_of_all_rewards_shifts_the_self_normalised_value_by_as_much():
    inputs = drawn(7)
    before = BY_KEY["snips"].influence(**inputs).value
    inputs["reward"] = inputs["reward"] + 100.0
    assert BY_KEY["snips"].influence(**inputs).value == pytest.approx(before + 100.0)


@given(seed=st.integers(0, 10_000))
def test_a_calibrated_direct_method_is_its_own_doubly_robust_value(seed):
    inputs = drawn(seed)
    inputs["predicted"] = calibrate(**inputs)
    plug_in = direct_method.influence(**inputs)
    robust = doubly_robust.influence(**inputs)
    assert plug_in.value == pytest.approx(robust.value, abs=1e-9)
    np.testing.assert_allclose(plug_in.influence, robust.influence)


def test_calibration_takes_the_winners_curse_off():
    """A model that chose the policy on noise believes it gains; calibrated, it does not."""
    rng = np.random.default_rng(0)
    n = 6000
    noise = rng.normal(size=(n, 2))
    best = noise.argmax(axis=1)
    inputs = {
        "reward": rng.normal(size=n),
        "action": rng.integers(0, 2, n),
        "logged": np.full((n, 2), 0.5),
        "policy": np.eye(2)[best],
        "predicted": noise,
    }
    assert direct_method.influence(**inputs).value > 0.5
    inputs["predicted"] = calibrate(**inputs)
    assert abs(direct_method.influence(**inputs).value) < 4 / np.sqrt(n) * 1.5


def test_calibration_survives_a_policy_that_is_the_same_for_all():
    inputs = drawn(2)
    inputs["policy"] = np.tile([0.0, 1.0, 0.0], (500, 1))
    inputs["logged"] = np.full((500, 3), 1 / 3)
    inputs["predicted"] = calibrate(**inputs)
    taken = inputs["action"] == 1
    value = direct_method.influence(**inputs).value
    model = inputs["predicted"]
    assert value == pytest.approx(model[:, 1].mean())
    assert (inputs["reward"] - model[:, 1])[taken].mean() == pytest.approx(0.0, abs=1e-9)


def test_action_scores_average_to_the_doubly_robust_value():
    inputs = drawn(9)
    policy = inputs.pop("policy")
    scores = action_scores(**inputs)
    value = doubly_robust.influence(policy=policy, **inputs).value
    assert (scores * policy).sum(axis=1).mean() == pytest.approx(value)


def test_estimators_find_a_known_value():
    rng = np.random.default_rng(1)
    n = 100_000
    x = rng.normal(size=n)
    mean = np.column_stack([x, 1.0 - x])
    logged = np.column_stack([1 / (1 + np.exp(x)), 1 / (1 + np.exp(-x))])
    action = (rng.random(n) < logged[:, 1]).astype(int)
    policy = np.column_stack([x > 0, x <= 0]).astype(float)
    truth = np.where(x > 0, x, 1.0 - x).mean()
    reward = mean[np.arange(n), action] + rng.normal(size=n)
    inputs = {"reward": reward, "action": action, "logged": logged, "policy": policy}
    for key, estimator in BY_KEY.items():
        model = mean + 0.3 * x[:, None]
        if key == "dm":
            model = calibrate(**inputs, predicted=model)
        scores = estimator.influence(**inputs, predicted=model)
        error = scores.influence.std() / np.sqrt(n)
        assert abs(scores.value - truth) < 4 * error, key


def test_refusals():
    half = np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match="never possible"):
        weights(np.array([0, 0]), np.array([[1.0, 0.0]] * 2), half)
    with pytest.raises(ValueError, match="probability 0"):
        weights(np.array([1, 0]), np.array([[1.0, 0.0]] * 2), np.array([[1.0, 0.0]] * 2))
    with pytest.raises(ValueError, match="shapes differ"):
        weights(np.array([0]), half, half)
    never = np.array([[0.0, 1.0]] * 2)
    with pytest.raises(ValueError, match="no logged action"):
        BY_KEY["snips"].influence(np.ones(2), np.array([0, 0]), half, never)
