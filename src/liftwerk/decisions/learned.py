"""A release as the decision path uses it: its model, and the rule that turns effects to chances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liftwerk.decisions.definition import (
    ACTIONS,
    PLACEMENTS,
    POLICIES,
    PolicyDefinition,
    reward_outcome,
)
from liftwerk.decisions.kinds.uplift import Rule
from liftwerk.definitions import Project
from liftwerk.errors import DefinitionError
from liftwerk.metrics.definition import METRICS
from liftwerk.models.train import TrainedModel


@dataclass(frozen=True)
class Learned:
    """A release to decide with.

    Parameters
    ----------
    release, state, stage : str
        The release, the hash of what it learned, its stage.
    model : TrainedModel
    outcome : str
        The model's outcome that the reward is made from.
    """

    release: str
    state: str
    stage: str
    model: TrainedModel
    outcome: str

    def effects(self, features: pa.Table) -> NDArray[np.float64]:
        """Effect of each action but control on the outcome, (n, k - 1)."""
        return self.model.effects(features, self.outcome)


def ordered_actions(project: Project, policy: PolicyDefinition) -> tuple[str, ...]:
    """Return the policy's actions with the placement's control action first."""
    control = project.lookup(PLACEMENTS, policy.placement).control
    others = tuple(action for action in policy.actions if action != control)
    return (control, *others)


def policy_rule(project: Project, policy: PolicyDefinition) -> Rule:
    """Build the rule that a declared policy follows.

    Parameters
    ----------
    project : Project
    policy : PolicyDefinition

    Returns
    -------
    Rule
        Its costs are in the order of `ordered_actions`.
    """
    reward = project.lookup(METRICS, policy.reward)
    multiply = 1.0
    if reward.multiply is not None:
        multiply = reward.multiply.value
    costs = [0.0] * len(policy.actions)
    if reward.subtract == "action_cost":
        actions = ordered_actions(project, policy)
        costs = [float(project.lookup(ACTIONS, action).cost) for action in actions]
    return Rule(tuple(costs), multiply, policy.exploration.value)


def earning_outcome(project: Project, name: str) -> str:
    """Return the outcome of a policy's model that its reward is made from.

    Raises
    ------
    DefinitionError
        If the model has none; `check` says so too.
    """
    policy = project.lookup(POLICIES, name)
    outcome = reward_outcome(project, policy)
    if outcome is None:
        hint = f"add a metric that sums what {policy.reward!r} sums to the model's outcomes"
        raise DefinitionError("no outcome leads to the reward", f"policies.{name}.model", hint)
    return outcome
