"""Self-normalised inverse probability scoring."""

from __future__ import annotations

from liftwerk.stats.off_policy.scores import Floats, Integers, Scores, weights


def influence(
    reward: Floats,
    action: Integers,
    logged: Floats,
    policy: Floats,
    predicted: Floats | None = None,
) -> Scores:
    r"""Value a policy by the weighted mean of logged rewards.

    .. math:: \hat V = \sum_i w_i r_i \Big/ \sum_i w_i

    Hájek (1971); for policies Swaminathan and Joachims (2015), *The self-normalized estimator for
    counterfactual learning*, NeurIPS. The influence is that of a ratio,
    :math:`w_i (r_i - \hat V) / \bar w`: shifting all rewards shifts the value and nothing else.

    Parameters
    ----------
    reward : (n,) float array
    action : (n,) int array
    logged : (n, k) float array
    policy : (n, k) float array
    predicted : ignored

    Returns
    -------
    Scores

    Raises
    ------
    ValueError
        If no logged action has weight under the policy.

    Examples
    --------
    >>> import numpy as np
    >>> half = np.full((3, 2), 0.5)
    >>> always_1 = np.array([[0.0, 1.0]] * 3)
    >>> influence(np.array([1.0, 3.0, 5.0]), np.array([0, 1, 1]), half, always_1).value
    4.0
    """
    weight = weights(action, logged, policy)
    mean_weight = float(weight.mean())
    if mean_weight <= 0.0:
        raise ValueError("no logged action has weight under the policy")
    value = float((weight * reward).mean()) / mean_weight
    return Scores(value, weight * (reward - value) / mean_weight)
