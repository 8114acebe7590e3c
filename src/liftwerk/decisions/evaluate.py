"""What policies would have earned on the logged decisions, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftwerk.stats import tails
from liftwerk.stats.estimate import Estimate, Unknown, to_json
from liftwerk.stats.interval import interval, interval_of_difference
from liftwerk.stats.off_policy import ESTIMATORS, Scores
from liftwerk.stats.off_policy.kinds.direct_method import calibrate
from liftwerk.stats.simultaneous import covariance_of_means, joint

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Answer: TypeAlias = Estimate | Unknown

LEARNED = "learned"
DETECTABLE = 2.80
"""Standard errors of a difference that 80% of trials would find at 5%: 1.96 + 0.84."""

KNOWN = "actions were drawn with the logged probabilities"
APART = "customers don't affect each other"
LEARNED_APART = "each customer is valued under a policy learned from others only"


class PolicyValue(msgspec.Struct, frozen=True):
    """Value of one policy per customer, by every estimator.

    Parameters
    ----------
    values : dict of str to Estimate or Unknown
        By the estimator's key: ``ips``, ``snips``, ``dm``, ``dr``.
    treated_share : float
        Mean probability of any action but control.
    """

    values: dict[str, Estimate | Unknown]
    treated_share: float


class Headline(msgspec.Struct, frozen=True):
    """The learned policy against the fixed one that it beats by least.

    Parameters
    ----------
    against : str
        Name of that policy.
    difference : Estimate or Unknown
        With the simultaneous interval.
    detectable : float or Unknown
        The true difference that such data would find four times in five.
    verdict : {"better", "worse", "unclear"}
    """

    against: str
    difference: Estimate | Unknown
    detectable: float | Unknown
    verdict: Literal["better", "worse", "unclear"]


class Evaluation(msgspec.Struct, frozen=True):
    """Values of all policies, differences of the learned one to each fixed one, the headline.

    Parameters
    ----------
    customers : int
    policies : dict of str to PolicyValue
        The learned policy first.
    differences : dict of str to Estimate or Unknown
        Learned less fixed, doubly robust, with intervals that hold together.
    headline : Headline
    """

    customers: int
    policies: dict[str, PolicyValue]
    differences: dict[str, Estimate | Unknown]
    headline: Headline


def fixed_policies(baselines: Mapping[str, int], logged: Floats) -> dict[str, Floats]:
    """Give the policies that learn nothing.

    Parameters
    ----------
    baselines : mapping of str to int
        Name -> number of the action that everybody gets.
    logged : (n, k) float array
        Probabilities that the logged actions were drawn with.

    Returns
    -------
    dict of str to (n, k) float array
        The baselines in their order, then ``control``, ``uniform`` and ``logged``.

    Examples
    --------
    >>> list(fixed_policies({"all": 1}, np.full((1, 2), 0.5)))
    ['all', 'control', 'uniform', 'logged']
    """
    actions = logged.shape[1]
    policies = {}
    for name, number in {**baselines, "control": 0}.items():
        policies[name] = np.zeros(logged.shape)
        policies[name][:, number] = 1.0
    policies["uniform"] = np.full(logged.shape, 1.0 / actions)
    policies["logged"] = logged
    return policies


def evaluate(
    reward: Floats,
    action: Integers,
    logged: Floats,
    *,
    learned: Floats,
    predicted: Floats,
    fixed: Mapping[str, Floats],
    folds: Integers,
    rng: np.random.Generator,
) -> Evaluation:
    """Value the learned policy and the fixed ones on the same rows.

    Parameters
    ----------
    reward : (n,) float array
        What each decision earned, costs taken off.
    action : (n,) int array
        0 is control.
    logged : (n, k) float array
        Probabilities that the actions were drawn with.
    learned : (n, k) float array
        Probabilities of the learned policy: on each fold, of the policy learned without it
        (`decisions.learn`). Its value is the mean of those policies' values by fold size.
    predicted : (n, k) float array
        Expected reward of each action, predicted without the row's fold.
    fixed : mapping of str to (n, k) float array
        The policies to compare with, in the order of reports; see `fixed_policies`.
    folds : (n,) int array
        Whose errors have to be uncorrelated: no two of them learn from each other.
    rng : numpy.random.Generator
        For the critical value of the simultaneous intervals.

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> logged = np.full((4000, 2), 0.5)
    >>> action = rng.integers(0, 2, 4000)
    >>> reward = action + rng.normal(size=4000)
    >>> treat = np.tile([0.1, 0.9], (4000, 1))
    >>> read = evaluate(reward, action, logged, learned=treat, predicted=np.zeros((4000, 2)),
    ...                 fixed=fixed_policies({}, logged), folds=np.arange(4000) % 5, rng=rng)
    >>> read.headline.against, read.headline.verdict
    ('uniform', 'better')
    """
    refusal = tails.too_heavy(reward)
    policies = {LEARNED: learned, **fixed}
    values: dict[str, PolicyValue] = {}
    robust: dict[str, Scores] = {}
    for name, policy in policies.items():
        answers: dict[str, Estimate | Unknown] = {}
        for estimator in ESTIMATORS:
            model = predicted
            if estimator.key == "dm":
                model = calibrate(reward, action, logged, policy, predicted)
            scores = estimator.influence(reward, action, logged, policy, model)
            if estimator.key == "dr":
                robust[name] = scores
            answers[estimator.key] = _value(scores, estimator.name, name, folds, refusal)
        values[name] = PolicyValue(answers, float(1.0 - policy[:, 0].mean()))
    differences, points = _differences(robust, folds, rng)
    return Evaluation(reward.shape[0], values, differences, _headline(differences, points))


def _value(
    scores: Scores, method: str, policy: str, folds: Integers, refusal: Unknown | None
) -> Answer:
    """Attach an interval, unless the rewards' tail forbids it."""
    if refusal is not None:
        return refusal
    if policy == LEARNED:
        assumptions = (KNOWN, APART, LEARNED_APART)
        return interval(scores, method=method, assumptions=assumptions, folds=folds)
    return interval(scores, method=method, assumptions=(KNOWN, APART))


def _differences(
    robust: Mapping[str, Scores],
    folds: Integers,
    rng: np.random.Generator,
) -> tuple[dict[str, Answer], dict[str, float]]:
    """Learned less each fixed policy: answers that hold together, and bare points.

    An unseen tail of the rewards does not forbid them: it lies on either side of a difference, and
    misses cancel. Their intervals held in simulated trials where those of values did not.
    """
    fixed = [name for name in robust if name != LEARNED]
    own = robust[LEARNED]
    points = {name: own.value - robust[name].value for name in fixed}
    pairs = {name: Scores(points[name], own.influence - robust[name].influence) for name in fixed}
    influence = np.column_stack([pair.influence for pair in pairs.values()])
    critical = joint(covariance_of_means(influence, folds), rng).critical
    answers = {name: _difference(pair, folds, critical) for name, pair in pairs.items()}
    return answers, points


def _difference(pair: Scores, folds: Integers, critical: float) -> Answer:
    """Compare two policies row by row, so that what they share falls out."""
    if not pair.influence.any():
        n = pair.influence.shape[0]
        return Estimate(pair.value, pair.value, pair.value, 0.0, n, "the policies are the same")
    return interval_of_difference(
        pair,
        method="doubly robust, paired, simultaneous over the fixed policies",
        assumptions=(KNOWN, APART, LEARNED_APART),
        folds=folds,
        z=critical,
        limit=tails.JOINT_LIMIT,
    )


def _headline(differences: Mapping[str, Answer], points: Mapping[str, float]) -> Headline:
    against = min(points, key=lambda name: points[name])
    difference = differences[against]
    if isinstance(difference, Unknown):
        return Headline(against, difference, difference, "unclear")
    detectable = DETECTABLE * difference.standard_error
    if difference.low > 0.0:
        return Headline(against, difference, detectable, "better")
    if difference.high < 0.0:
        return Headline(against, difference, detectable, "worse")
    return Headline(against, difference, detectable, "unclear")


def headline_json(headline: Headline) -> dict[str, Any]:
    """Write the headline as the report document does; an Unknown stands in each number's place.

    Examples
    --------
    >>> difference = Estimate(0.1, -0.1, 0.3, 0.1, 100, "dr")
    >>> headline_json(Headline("all", difference, 0.28, "unclear"))["difference_to_best_fixed"]
    0.1
    """
    difference = headline.difference
    detectable = headline.detectable
    document: dict[str, Any] = {"against": headline.against, "verdict": headline.verdict}
    if isinstance(difference, Unknown) or isinstance(detectable, Unknown):
        numbers = ("detectable", "difference_to_best_fixed", "low", "high")
        return document | dict.fromkeys(numbers, to_json(difference))
    return document | {
        "detectable": detectable,
        "difference_to_best_fixed": difference.value,
        "low": difference.low,
        "high": difference.high,
    }
