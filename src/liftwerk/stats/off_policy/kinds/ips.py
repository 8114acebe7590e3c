"""Inverse probability scoring."""

from __future__ import annotations

from liftwerk.stats.off_policy.scores import Floats, Integers, Scores, weights


def influence(
    reward: Floats,
    action: Integers,
    logged: Floats,
    policy: Floats,
    predicted: Floats | None = None,
) -> Scores:
    r"""Value a policy by reweighting logged rewards.

    .. math:: \hat V = \frac{1}{n} \sum_i w_i r_i, \quad w_i = \pi(a_i | x_i) / p(a_i | x_i)

    Horvitz and Thompson (1952), *A generalization of sampling without replacement from a finite
    universe*, JASA 47; for policies Strehl, Langford, Li and Kakade (2010), *Learning from logged
    implicit exploration data*, NeurIPS. Unbiased when the probabilities are known.

    Parameters
    ----------
    reward : (n,) float array
    action : (n,) int array
    logged : (n, k) float array
        Probabilities that the actions were drawn from.
    policy : (n, k) float array
        Probabilities of the policy to be valued.
    predicted : ignored
        Taken so that all estimators are called alike.

    Returns
    -------
    Scores

    Examples
    --------
    >>> import numpy as np
    >>> half = np.full((2, 2), 0.5)
    >>> always_1 = np.array([[0.0, 1.0], [0.0, 1.0]])
    >>> influence(np.array([1.0, 3.0]), np.array([0, 1]), half, always_1).value
    3.0
    """
    contribution = weights(action, logged, policy) * reward
    value = float(contribution.mean())
    return Scores(value, contribution - value)
