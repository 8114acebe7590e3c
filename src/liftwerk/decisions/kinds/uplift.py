"""The `uplift` policy: the action with the largest expected gain over control, and a floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """How effects become money, and how much is explored.

    Parameters
    ----------
    costs : tuple of float, length k
        What each action costs; the control action is first.
    multiply : float
        Reward for one unit of the effect (a margin on spend).
    exploration : float
        Probability that every eligible action keeps at least.

    Raises
    ------
    ValueError
        If the floors of all actions add up to more than 1.
    """

    costs: tuple[float, ...]
    multiply: float = 1.0
    exploration: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.exploration * len(self.costs) <= 1.0:
            raise ValueError(
                f"{len(self.costs)} actions cannot each keep a probability of {self.exploration}"
            )


def expected_gains(effects: Floats, rule: Rule) -> Floats:
    """Give each action's expected reward over that of control.

    Parameters
    ----------
    effects : (n, k - 1) float array
        Effect of each action but control on the outcome that earns.
    rule : Rule

    Returns
    -------
    (n, k) float array
        Control's column is 0.

    Examples
    --------
    >>> expected_gains(np.array([[0.2, 0.5]]), Rule((0.0, 0.05, 0.05), 0.5)).round(2).tolist()
    [[0.0, 0.05, 0.2]]
    """
    costs = np.asarray(rule.costs, dtype=np.float64)
    if effects.shape[1] != costs.shape[0] - 1:
        raise ValueError(f"{effects.shape[1]} effects for {costs.shape[0]} actions with a control")
    gains = np.zeros((effects.shape[0], costs.shape[0]))
    gains[:, 1:] = rule.multiply * effects - (costs[1:] - costs[0])
    return gains


def choose_probabilities(
    effects: Floats, rule: Rule, eligible: NDArray[np.bool_] | None = None
) -> Floats:
    """Turn effects into the probabilities that actions are drawn from.

    The eligible action with the largest expected gain gets what the floors leave; of equals the
    first, so control before any action that costs.

    Parameters
    ----------
    effects : (n, k - 1) float array
    rule : Rule
    eligible : (n, k) bool array, optional
        Which actions may be drawn; all, unless given. Every row needs one.

    Returns
    -------
    (n, k) float array
        Rows sum to 1; ineligible actions have 0.

    Examples
    --------
    >>> rule = Rule((0.0, 0.05, 0.05), 0.5, 0.05)
    >>> choose_probabilities(np.array([[0.2, 0.5], [0.1, 0.0]]), rule).round(2).tolist()
    [[0.05, 0.05, 0.9], [0.9, 0.05, 0.05]]
    """
    gains = expected_gains(effects, rule)
    if not np.isfinite(gains).all():
        raise ValueError("an effect is not a finite number")
    if eligible is None:
        eligible = np.ones(gains.shape, dtype=np.bool_)
    if not eligible.any(axis=1).all():
        raise ValueError("a row has no eligible action")
    best = np.where(eligible, gains, -np.inf).argmax(axis=1)
    probabilities = np.where(eligible, rule.exploration, 0.0)
    rows = np.arange(gains.shape[0])
    probabilities[rows, best] = 0.0
    probabilities[rows, best] = 1.0 - probabilities.sum(axis=1)
    return probabilities
