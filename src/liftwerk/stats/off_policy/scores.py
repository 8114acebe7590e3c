"""What an off-policy estimator returns, and the weight that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """An estimate with what each row contributed to its error.

    Parameters
    ----------
    value : float
        The estimated mean reward of the policy.
    influence : (n,) float array
        Contributions with mean 0: to first order the estimation error is their mean, so that the
        standard error is ``influence.std() / sqrt(n)`` for independent rows.
    """

    value: float
    influence: Floats


def weights(action: Integers, logged: Floats, policy: Floats) -> Floats:
    """Give the importance weight of the logged action of each row.

    Parameters
    ----------
    action : (n,) int array
        Which of the k actions was logged.
    logged : (n, k) float array
        Probabilities under which it was drawn.
    policy : (n, k) float array
        Probabilities of the policy to be valued.

    Returns
    -------
    (n,) float array
        ``policy[i, action[i]] / logged[i, action[i]]``.

    Raises
    ------
    ValueError
        If shapes differ, a probability of a logged action is not above 0, or the policy puts
        weight on an action that could not have been logged (no data can answer for it).

    Examples
    --------
    >>> logged = np.array([[0.5, 0.5], [0.25, 0.75]])
    >>> weights(np.array([0, 1]), logged, np.array([[1.0, 0.0], [0.0, 1.0]])).round(3).tolist()
    [2.0, 1.333]
    """
    if logged.shape != policy.shape or action.shape != logged.shape[:1]:
        raise ValueError(f"shapes differ: {action.shape}, {logged.shape}, {policy.shape}")
    # Where every action was possible, which is the rule, one pass over the matrix says so.
    if logged.min() <= 0.0 and ((logged <= 0.0) & (policy > 0.0)).any():
        raise ValueError("the policy takes an action that was never possible in the log")
    rows = np.arange(action.shape[0])
    probability = logged[rows, action]
    if (probability <= 0.0).any():
        raise ValueError("a logged action has probability 0")
    return np.asarray(policy[rows, action] / probability, dtype=np.float64)


def planned(policy: Floats, predicted: Floats) -> Floats:
    """Give each row's predicted reward under the policy.

    Parameters
    ----------
    policy, predicted : (n, k) float array

    Returns
    -------
    (n,) float array

    Examples
    --------
    >>> planned(np.array([[0.5, 0.5]]), np.array([[1.0, 3.0]])).tolist()
    [2.0]
    """
    return np.asarray(np.einsum("ij,ij->i", policy, predicted), dtype=np.float64)
