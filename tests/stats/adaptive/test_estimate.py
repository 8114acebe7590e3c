from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from liftwerk.stats.adaptive import Log, difference, value
from liftwerk.stats.adaptive.contributions import weighted
from liftwerk.stats.adaptive.estimate import one_arm
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import standard_error
from tests.stats.adaptive.cells import CONTROL, EYE, Cell

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "hadad_reference.json").read_text())


@pytest.fixture(scope="module")
def published() -> Log:
    action = np.array(REFERENCE["action"])
    chances = np.array(REFERENCE["probabilities"])
    own = chances[np.arange(action.size), action]
    rows = np.arange(action.size)
    expected = np.array(REFERENCE["expected"])
    return Log(np.array(REFERENCE["reward"]), action, own, rows, "abc", chances, expected)


def drawn(cell: Cell, seed: int = 1) -> Log:
    return next(cell.logs(seed, 1))


def test_values_and_differences_equal_the_code_of_the_paper(published):
    found = [weighted(published, EYE[arm]) for arm in range(3)]
    # The paper divides by n where a sample's variance divides by n - 1.
    paper = np.sqrt((published.n - 1) / published.n)
    for arm in range(3):
        assert found[arm].value == pytest.approx(REFERENCE["values"][arm], rel=1e-12)
        error = standard_error(found[arm].influence - found[arm].influence.mean())
        centred = np.sqrt((found[arm].influence ** 2).sum()) / published.n
        assert centred == pytest.approx(REFERENCE["standard_errors"][arm], rel=1e-12)
        assert error * paper == pytest.approx(centred, rel=1e-2)
    for arm in range(2):
        between = found[2].value - found[arm].value
        assert between == pytest.approx(REFERENCE["differences_of_last"][arm], rel=1e-12)
        error = np.sqrt(((found[2].influence - found[arm].influence) ** 2).sum()) / published.n
        assert error == pytest.approx(REFERENCE["difference_errors"][arm], rel=1e-12)


def test_the_past_mean_of_the_paper_is_nearly_ours(published):
    ours = Log(
        published.reward,
        published.action,
        published.probability,
        published.batch,
        published.arms,
        published.probabilities,
    )
    for arm in range(3):
        later = slice(50, None)
        expected = np.array(REFERENCE["expected"])[later, arm]
        assert np.abs(ours.past_mean(arm)[later] - expected).max() < 0.1


@pytest.mark.parametrize("contextual", [False, True])
def test_nothing_of_a_row_is_made_from_it_or_later_rows(contextual):
    """Changing the last row's reward and action moves no weight and no expectation."""
    log = drawn(Cell("harm", "click", "thompson", contextual))
    cut = log.n - 300
    reward = log.reward.copy()
    reward[cut:] = 1.0 - reward[cut:]
    other = Log(reward, log.action, log.probability, log.batch, log.arms, log.probabilities)
    for arm in range(3):
        same = log.past_mean(arm)[: cut + 1] == other.past_mean(arm)[: cut + 1]
        assert same.all()
    assert (log.past_mean(0)[cut + 1 :] != other.past_mean(0)[cut + 1 :]).any()


@pytest.mark.parametrize("known", [False, True])
def test_by_segment_a_weight_knows_only_earlier_rows(known):
    from liftwerk.stats.adaptive.weights import stable

    log = drawn(Cell("flips", "click", "thompson", True))
    cut = 5_050
    chances = log.probabilities.copy()
    chances[cut:] = 1 / 3
    own = chances[np.arange(log.n), log.action]
    given = {True: (log.probabilities, chances), False: (None, None)}[known]
    before = Log(log.reward, log.action, log.probability, log.batch, log.arms, given[0])
    after = Log(log.reward, log.action, own, log.batch, log.arms, given[1])
    for policy in (EYE[2], EYE[2] - CONTROL):
        first, second = stable(before, policy), stable(after, policy)
        assert (first[: cut + 1] == second[: cut + 1]).all()
        assert (first[cut + 1 :] != second[cut + 1 :]).any()


def test_without_learning_the_value_is_that_of_a_plain_test():
    rng = np.random.default_rng(5)
    action = rng.integers(0, 2, 20_000)
    reward = rng.normal(action * 0.1, 1.0)
    half = np.full(20_000, 0.5)
    log = Log(reward, action, half, np.zeros(20_000, dtype=int), ("a", "b"))
    found = difference(log, np.array([0.0, 1.0]), np.array([1.0, 0.0])).estimate
    plain = reward[action == 1].mean() - reward[action == 0].mean()
    error = np.sqrt(
        reward[action == 1].var() / (action == 1).sum()
        + reward[action == 0].var() / (action == 0).sum()
    )
    assert found.value == pytest.approx(plain, abs=0.1 * error)
    assert found.standard_error == pytest.approx(error, rel=0.01)


@pytest.mark.parametrize("seed", range(12))
def test_a_p_value_is_below_its_level_exactly_where_0_is_outside(seed):
    log = drawn(Cell("one_works", "click", "thompson", size=400), seed)
    for level in (0.8, 0.95, 0.99):
        found = difference(log, EYE[2], CONTROL, level=level)
        assert isinstance(found.estimate, Estimate)
        outside = found.estimate.low > 0.0 or found.estimate.high < 0.0
        assert outside == (found.p_value < 1.0 - level)


def test_a_p_value_says_where_the_interval_ends_at_0():
    log = drawn(Cell("one_works", "click", "thompson", size=400), 3)
    p = difference(log, EYE[2], CONTROL).p_value
    at_0 = difference(log, EYE[2], CONTROL, level=1.0 - p).estimate
    assert min(abs(at_0.low), abs(at_0.high)) < 1e-9
    equal = difference(log, CONTROL, CONTROL)
    assert isinstance(equal.estimate, Estimate)
    assert equal.p_value == 1.0


def test_a_policy_over_all_arms_lies_between_them():
    log = drawn(Cell("harm", "noise", "thompson"))
    values = [value(log, EYE[arm]).value for arm in range(3)]
    mixed = value(log, np.full(3, 1 / 3))
    assert min(values) < mixed.value < max(values)
    assert mixed.low < Cell("harm", "noise", "thompson").truth.mean() < mixed.high


def test_refusals():
    few = drawn(Cell("harm", "spend", "thompson", batches=20, size=50))
    refused = value(few, EYE[2])
    assert isinstance(refused, Unknown)
    assert "of 1000 rows" in refused.reason
    assert "rows more at the latest probabilities" in refused.needs
    assert difference(few, EYE[2], CONTROL).p_value is None
    # A bandit that turned away from an arm for good leaves nothing to wait for.
    log = drawn(Cell("harm", "noise", "epsilon_greedy", batches=100, size=20, decay=1.0))
    gone = value(log, EYE[2])
    assert isinstance(gone, Unknown)
    assert "no longer drawn" in gone.needs
    n = 1_000
    all_a = Log(np.ones(n), np.zeros(n, int), np.full(n, 0.5), np.zeros(n, int), ("a", "b"))
    assert "never drawn" in value(all_a, np.array([0.0, 1.0])).reason
    assert "no reward differs" in value(all_a, np.array([1.0, 0.0])).reason
    rng = np.random.default_rng(1)
    chances = np.where(rng.random((n, 1)) < 0.5, [[1.0, 0.0]], [[0.5, 0.5]])
    action = (rng.random(n) >= chances[:, 0]).astype(int)
    own = chances[np.arange(n), action]
    closed = Log(rng.normal(size=n), action, own, np.zeros(n, int), ("a", "b"), chances)
    assert "for some contexts" in value(closed, np.array([0.0, 1.0])).reason
    assert isinstance(value(closed, np.array([1.0, 0.0])), Estimate)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probability": np.array([0.5, 0.0])}, "not above 0"),
        ({"probability": np.array([0.5, np.nan])}, "not above 0"),
        ({"probability": np.array([0.5])}, "shape"),
        ({"action": np.array([0, 2])}, "not among"),
        ({"reward": np.array([0.0, np.inf])}, "not finite"),
        ({"reward": np.array([])}, "without rows"),
        ({"probabilities": np.full((2, 2), 0.4)}, "do not add up"),
        ({"probabilities": np.array([[0.9, 0.1]] * 2)}, "not that of its column"),
        ({"probabilities": np.array([[1.5, -0.5]] * 2)}, "below 0"),
        ({"expected": np.zeros((2, 3))}, "shape"),
    ],
)
def test_a_log_that_cannot_be_one_is_refused(change, message):
    right = {
        "reward": np.array([0.0, 1.0]),
        "action": np.array([0, 1]),
        "probability": np.array([0.5, 0.5]),
        "batch": np.array([0, 0]),
        "arms": ("a", "b"),
    }
    Log(**right)
    with pytest.raises(ValueError, match=message):
        Log(**{**right, **change})


def test_arms_are_found_by_name(published):
    assert one_arm(published, "c").tolist() == [0.0, 0.0, 1.0]
    with pytest.raises(ValueError, match="no arm 'd'; there are a, b, c"):
        one_arm(published, "d")
