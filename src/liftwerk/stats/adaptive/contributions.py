"""What each row of a bandit's log says about a policy, and how the rows are averaged."""

from __future__ import annotations

import numpy as np

from liftwerk.stats.adaptive.log import Floats, Log
from liftwerk.stats.adaptive.weights import stable
from liftwerk.stats.off_policy.scores import Scores


def row_scores(log: Log, policy: Floats) -> Floats:
    r"""Score the rows: unbiased for the policy's value, each given what came before it.

    .. math:: \Gamma_t = \sum_a \pi(a) \mu_t(a) + \frac{\pi(A_t)}{e_t(A_t)} (Y_t - \mu_t(A_t))

    with :math:`\mu_t` made of earlier rows alone (Hadad et al. 2021, equation 5).

    Parameters
    ----------
    log : Log
    policy : (k,) float array

    Returns
    -------
    (n,) float array
    """
    scores = np.zeros(log.n)
    for arm in np.flatnonzero(policy):
        expected = log.past_mean(int(arm))
        share = policy[arm]
        drawn = log.action == arm
        scores += share * expected
        scores[drawn] += share / log.probability[drawn] * (log.reward - expected)[drawn]
    return scores


def weighted(log: Log, policy: Floats) -> Scores:
    r"""Average a policy's scores with stable weights.

    .. math:: \hat Q = \sum_t h_t \Gamma_t / \sum_t h_t

    (Hadad et al. 2021, equation 7), and the influence of a row is n times its part in the variance
    of equation 10, :math:`n h_t (\Gamma_t - \hat Q) / \sum_t h_t`.

    Parameters
    ----------
    log : Log
    policy : (k,) float array
        Not all 0.

    Returns
    -------
    Scores
    """
    scores = row_scores(log, policy)
    weights = stable(log, policy)
    total = float(weights.sum())
    value = float(weights @ scores) / total
    return Scores(value, log.n * weights * (scores - value) / total)
