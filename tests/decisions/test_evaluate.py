from __future__ import annotations

import numpy as np
import pytest

from liftwerk.decisions.evaluate import (
    DETECTABLE,
    Evaluation,
    evaluate,
    fixed_policies,
    headline_json,
)
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import standard_error
from liftwerk.stats.off_policy.kinds import doubly_robust
from tests.decisions.coverage import LEARNED, coverage, read_trials, table


def inputs(seed: int = 0, n: int = 6000, gain: float = 0.0) -> dict[str, np.ndarray]:
    """Three actions by lot; the learned policy likes action 1 and keeps a floor."""
    rng = np.random.default_rng(seed)
    logged = np.full((n, 3), 1 / 3)
    action = rng.integers(0, 3, n)
    reward = 1.0 + gain * (action == 1) + rng.exponential(size=n)
    return {
        "reward": reward,
        "action": action,
        "logged": logged,
        "learned": np.tile([0.05, 0.9, 0.05], (n, 1)),
        "predicted": np.full((n, 3), 2.0),
        "folds": rng.permutation(n) % 5,
    }


def read(given: dict[str, np.ndarray], seed: int = 0, **more: np.ndarray) -> Evaluation:
    fixed = fixed_policies({"one_to_all": 1, "two_to_all": 2}, given["logged"]) | more
    return evaluate(**given, fixed=fixed, rng=np.random.default_rng(seed))


def test_policies_come_in_the_reports_order_with_their_shares():
    found = read(inputs())
    names = [LEARNED, "one_to_all", "two_to_all", "control", "uniform", "logged"]
    assert list(found.policies) == names
    assert list(found.differences) == names[1:]
    shares = [found.policies[name].treated_share for name in names]
    assert shares == pytest.approx([0.95, 1.0, 1.0, 0.0, 2 / 3, 2 / 3])
    assert list(found.policies[LEARNED].values) == ["ips", "snips", "dm", "dr"]


def test_values_are_what_one_would_compute_by_hand():
    given = inputs()
    found = read(given)
    treated = given["action"] == 1
    snips = found.policies["one_to_all"].values["snips"]
    assert snips.value == pytest.approx(given["reward"][treated].mean())
    assert found.policies["logged"].values["ips"].value == pytest.approx(given["reward"].mean())
    # Calibrated, the direct method of one action for all is the mean of its arm.
    dm = found.policies["one_to_all"].values["dm"]
    assert dm.value == pytest.approx(given["reward"][treated].mean())


def test_differences_add_up_and_are_paired():
    given = inputs()
    found = read(given)
    for name, difference in found.differences.items():
        apart = found.policies[LEARNED].values["dr"].value - found.policies[name].values["dr"].value
        assert difference.value == pytest.approx(apart)
    scores = [
        doubly_robust.influence(
            given["reward"], given["action"], given["logged"], policy, given["predicted"]
        ).influence
        for policy in (given["learned"], fixed_policies({"a": 1}, given["logged"])["a"])
    ]
    paired = standard_error(scores[0] - scores[1], given["folds"])
    assert found.differences["one_to_all"].standard_error == pytest.approx(paired)
    # Nearly the same policy: most of the noise is shared and falls out.
    assert paired < 0.2 * found.policies[LEARNED].values["dr"].standard_error


def test_intervals_of_differences_are_wider_than_one_at_a_time():
    found = read(inputs())
    for difference in found.differences.values():
        half = (difference.high - difference.value) / difference.standard_error
        assert 2.0 < half < 2.7


@pytest.mark.parametrize(
    ("gain", "verdict", "against"), [(0.6, "better", "uniform"), (-0.6, "worse", None)]
)
def test_verdicts(gain, verdict, against):
    given = inputs(gain=gain)
    fixed = {"uniform": np.full((6000, 3), 1 / 3), "control": np.tile([1.0, 0, 0], (6000, 1))}
    found = evaluate(**given, fixed=fixed, rng=np.random.default_rng(0))
    headline = found.headline
    smallest = min(found.differences.values(), key=lambda each: each.value)
    assert headline.verdict == verdict
    assert headline.difference == smallest
    assert headline.detectable == pytest.approx(DETECTABLE * smallest.standard_error)
    if against:
        assert headline.against == against


def test_unclear_when_nothing_differs():
    assert read(inputs()).headline.verdict == "unclear"


def test_headline_document():
    document = headline_json(read(inputs()).headline)
    assert sorted(document) == [
        "against",
        "detectable",
        "difference_to_best_fixed",
        "high",
        "low",
        "verdict",
    ]
    assert document["low"] < document["difference_to_best_fixed"] < document["high"]


def test_the_same_policy_differs_by_exactly_nothing():
    given = inputs()
    found = read(given, twin=given["learned"])
    twin = found.differences["twin"]
    assert (twin.value, twin.low, twin.high, twin.standard_error) == (0.0, 0.0, 0.0, 0.0)


def test_two_rows_that_carry_everything_make_everything_unknown():
    given = inputs()
    given["reward"][:2] = 1e6
    found = read(given)
    for policy in found.policies.values():
        assert all(isinstance(answer, Unknown) for answer in policy.values.values())
    assert all(isinstance(answer, Unknown) for answer in found.differences.values())
    headline = found.headline
    assert headline.verdict == "unclear"
    assert isinstance(headline.difference, Unknown)
    assert isinstance(headline.detectable, Unknown)
    assert "unknown" in headline_json(headline)["detectable"]


def test_a_heavy_tail_leaves_differences_known():
    given = inputs(n=4000)
    rng = np.random.default_rng(5)
    buys = rng.random(4000) < 0.02
    given["reward"] = np.where(buys, rng.lognormal(3.0, 1.6, 4000), 0.0)
    found = read(given)
    assert isinstance(found.policies[LEARNED].values["dr"], Unknown)
    assert isinstance(found.differences["uniform"], Estimate)


def test_rewards_that_never_vary_are_unknown_too():
    given = inputs()
    given["reward"] = np.ones(6000)
    given["predicted"] = np.ones((6000, 3))
    assert isinstance(read(given).policies["control"].values["snips"], Unknown)


def test_the_seed_decides():
    assert read(inputs(), seed=3) == read(inputs(), seed=3)
    assert isinstance(read(inputs()).differences["control"], Estimate)


@pytest.mark.slow
def test_intervals_cover_in_trials_of_the_published_shape():
    """At least 88 of 100 fixed seeds, each interval and all differences together.

    The soak asks for 92 to 97.5% of 1,000.
    """
    rows = table(read_trials("resampled", range(100)))
    short = {name: share for name, (share, _) in rows.items() if share < 0.88}
    assert short == {}
    assert max(unknown for _, unknown in rows.values()) < 0.05


@pytest.mark.slow
def test_heavy_tails_are_covered_or_unknown():
    rows = table(read_trials("lognormal", range(16)))
    for name, (share, unknown) in rows.items():
        # Of those answered; missing one of a handful is no shame, missing often is.
        assert (1.0 - unknown) * (1.0 - share) <= 0.125, name


def test_coverage_counts_only_answers():
    assert coverage([True, None, False, True]) == (pytest.approx(2 / 3), 0.25)
    assert coverage([None, None]) == (1.0, 1.0)
