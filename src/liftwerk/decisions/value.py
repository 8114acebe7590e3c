"""Value a declared policy on logged decisions: learn in turn, choose, evaluate, draw the curve."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftwerk.decisions.evaluate import Evaluation, evaluate, fixed_policies
from liftwerk.decisions.kinds.uplift import Rule, choose_probabilities, expected_gains
from liftwerk.decisions.learn import learn_in_turn
from liftwerk.models.design import Features
from liftwerk.stats.off_policy.kinds.doubly_robust import action_scores
from liftwerk.stats.profit_curve import ProfitCurve, profit_curve
from liftwerk.stats.ranks import rank_within

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Valued:
    """What a policy would earn.

    Parameters
    ----------
    evaluation : Evaluation
    curve : ProfitCurve
        Against the share of customers treated.
    """

    evaluation: Evaluation
    curve: ProfitCurve


def value_policy(
    features: Features,
    action: Integers,
    logged: Floats,
    outcome: Floats,
    reward: Floats,
    rule: Rule,
    baselines: Mapping[str, int],
    rng: np.random.Generator,
) -> Valued:
    """Value the policy that the rule makes of effects learned on other customers.

    Parameters
    ----------
    features : Design, pyarrow.Table or (n, p) array
    action : (n,) int array
        0 is control.
    logged : (n, k) float array
        Probabilities the actions were drawn with.
    outcome : (n,) float array
        What effects are learned on.
    reward : (n,) float array
        What counts: ``rule.multiply * outcome`` less the action's cost.
    rule : Rule
    baselines : mapping of str to int
        Name -> number of the action that everybody gets.
    rng : numpy.random.Generator

    Returns
    -------
    Valued
    """
    turns = learn_in_turn(features, action, outcome, logged, rng)
    learned = choose_probabilities(turns.effects, rule)
    predicted = rule.multiply * turns.means - np.asarray(rule.costs)
    fixed = fixed_policies(baselines, logged)
    evaluation = evaluate(
        reward,
        action,
        logged,
        learned=learned,
        predicted=predicted,
        fixed=fixed,
        folds=turns.folds,
        rng=rng,
    )
    gains = expected_gains(turns.effects, rule)
    best = 1 + gains[:, 1:].argmax(axis=1)
    priority = rank_within(gains[np.arange(best.shape[0]), best], turns.folds)
    scores = action_scores(reward, action, logged, predicted)
    return Valued(evaluation, profit_curve(priority, best, scores, reward))


def seed_of(*names: str) -> int:
    """Make a seed from names, the same everywhere.

    Examples
    --------
    >>> seed_of("best_email") == seed_of("best_email"), seed_of("a") == seed_of("b")
    (True, False)
    """
    return int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:8], "big")
