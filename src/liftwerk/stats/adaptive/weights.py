r"""How much each row of a bandit's log counts, decided before the row is drawn.

A row's score for a policy `pi` has, given what came before, a variance of about a constant times

.. math:: c_t = \sum_a \pi(a)^2 / e_t(a)

(`e` the probabilities, one variance for all arms). Where a bandit has turned away from an arm, it
explodes, and which rows these are depends on rewards: the plain average of the scores has no normal
limit, and a tail. Rows weighted with :math:`h_t = 1 / \sqrt{c_t}` all bring the same variance, so
that the sum is a martingale with a normal limit (Hadad, Hirshberg, Zhan, Wager and Athey 2021,
*Confidence intervals for policy evaluation in adaptive experiments*, PNAS 118(15): for one arm this
is their constant allocation rate; Zhan, Hadad, Hirshberg and Athey 2021, *Off-policy evaluation via
adaptive weighting with data from contextual bandits*, KDD: their StableVar).
"""

from __future__ import annotations

import numpy as np

from liftwerk.stats.adaptive.log import Floats, Log, before

PRIOR_ROWS = 10.0
"""Rows that the batch before counts for, while a batch begins."""


def stable(log: Log, policy: Floats) -> Floats:
    """Weigh the rows so that each brings the same variance.

    Parameters
    ----------
    log : Log
    policy : (k,) float array
        Probability (or, for a difference, signed weight) of each arm.

    Returns
    -------
    (n,) float array
        0 where an arm of the policy was not possible.

    Examples
    --------
    >>> chances = np.array([[0.5, 0.5], [0.9, 0.1]])
    >>> drawn = np.array([0, 0])
    >>> log = Log(np.ones(2), drawn, chances[:, 0], np.arange(2), ["a", "b"], chances)
    >>> stable(log, np.array([0.0, 1.0])).round(3).tolist()
    [0.707, 0.316]
    """
    row = cost(log, policy)
    if log.probabilities is None:
        row = _average_before(log, row, policy)
    elif _differs_within(log, row):
        row = _known_before(log, row, policy)
    # Otherwise the bandit looked at no context: the row's own cost was known before it.
    return np.asarray(1.0 / np.sqrt(row), dtype=np.float64)


def cost(log: Log, policy: Floats) -> Floats:
    """Give what a row's variance is proportional to.

    Parameters
    ----------
    log : Log
    policy : (k,) float array

    Returns
    -------
    (n,) float array
        Infinite where an arm of the policy was not possible. Where a log holds only the drawn
        arm's probability: what is that on average over the draw.

    Examples
    --------
    >>> log = Log(np.ones(1), np.array([0]), np.array([0.5]), np.array([0]), ["a", "b"])
    >>> cost(log, np.array([1.0, 0.0])).tolist()
    [4.0]
    """
    if log.probabilities is None:
        return np.asarray((policy[log.action] / log.probability) ** 2, dtype=np.float64)
    wanted = np.flatnonzero(policy)
    with np.errstate(divide="ignore"):
        return np.asarray((policy[wanted] ** 2 / log.probabilities[:, wanted]).sum(axis=1))


def _differs_within(log: Log, row: Floats) -> bool:
    """Say whether rows of one batch have different costs: then a row's context decided on it."""
    neighbours = log.batch[1:] == log.batch[:-1]
    with np.errstate(invalid="ignore"):
        # Infinite less infinite is no difference.
        moved = np.abs(row[1:] - row[:-1]) > 1e-9 * np.minimum(row[1:], row[:-1])
    return bool((neighbours & moved).any())


def _at_first(log: Log, policy: Floats) -> float:
    """Give the cost while nothing is known: as if all arms were equally likely."""
    return float((policy**2).sum()) * len(log.arms)


def _average_before(log: Log, row: Floats, policy: Floats) -> Floats:
    """Average the costs of all earlier rows: those of drawn arms alone are too wild for less."""
    known = np.arange(log.n) + PRIOR_ROWS
    return np.asarray((before(row) + PRIOR_ROWS * _at_first(log, policy)) / known)


def _known_before(log: Log, row: Floats, policy: Floats) -> Floats:
    """Average the costs of the batch so far, and at its beginning of the batch before."""
    starts = np.flatnonzero(np.concatenate([[True], log.batch[1:] != log.batch[:-1]]))
    number = np.zeros(log.n, dtype=np.int64)
    number[starts[1:]] = 1
    number = number.cumsum()
    sizes = np.diff(np.concatenate([starts, [log.n]]))
    averages = np.add.reduceat(row, starts) / sizes
    prior = np.concatenate([[_at_first(log, policy)], averages[:-1]])[number]
    total = before(row)
    so_far = total - total[starts][number]
    rows = np.arange(log.n) - starts[number]
    return np.asarray((so_far + PRIOR_ROWS * prior) / (rows + PRIOR_ROWS), dtype=np.float64)
