"""The direct method, and the calibration that makes its interval honest."""

from __future__ import annotations

import numpy as np

from liftwerk.stats.off_policy.kinds import doubly_robust
from liftwerk.stats.off_policy.scores import Floats, Integers, Scores, planned, weights


def influence(
    reward: Floats,
    action: Integers,
    logged: Floats,
    policy: Floats,
    predicted: Floats,
) -> Scores:
    r"""Value a policy by predictions alone.

    .. math:: \hat V = \frac{1}{n} \sum_i \sum_a \pi(a | x_i) \hat m(x_i, a)

    Beygelzimer and Langford (2009), *The offset tree for learning with partial labels*, KDD, where
    it is one of the baselines. The scatter of the predictions says nothing about how wrong they
    are, so the influence returned is that of the plug-in estimator whose model was calibrated for
    this policy (see `calibrate`); for any other model it leaves the model's bias out.

    Parameters
    ----------
    reward : (n,) float array
    action : (n,) int array
    logged : (n, k) float array
    policy : (n, k) float array
    predicted : (n, k) float array

    Returns
    -------
    Scores

    Examples
    --------
    >>> half = np.full((2, 2), 0.5)
    >>> always_1 = np.array([[0.0, 1.0], [0.0, 1.0]])
    >>> model = np.array([[0.0, 2.0], [0.0, 2.5]])
    >>> influence(np.array([1.0, 3.0]), np.array([0, 1]), half, always_1, model).value
    2.25
    """
    value = float(planned(policy, predicted).mean())
    return Scores(
        value, doubly_robust.influence(reward, action, logged, policy, predicted).influence
    )


def calibrate(
    reward: Floats,
    action: Integers,
    logged: Floats,
    policy: Floats,
    predicted: Floats,
) -> Floats:
    r"""Correct predictions, action by action, until they are right on average for the policy.

    .. math:: \hat m^*(x, a) = \hat m(x, a) + \alpha_a + \beta_a \, \pi(a | x) / p(a | x)

    with the coefficients of least squares on the rows where `a` was taken. Then
    :math:`\sum_i w_i (r_i - \hat m^*(x_i, a_i)) = 0`: the plug-in value equals its own doubly
    robust value, which is what a model that chose the policy and also predicts its reward needs
    most (the winner's curse). This is the targeting step of van der Laan and Rubin (2006),
    *Targeted maximum likelihood learning*, Int. J. Biostatistics 2(1), on the linear scale.

    Parameters
    ----------
    reward, action, logged, policy, predicted : as for `influence`

    Returns
    -------
    (n, k) float array
        The corrected predictions.

    Examples
    --------
    >>> half = np.full((4, 2), 0.5)
    >>> always_1 = np.array([[0.0, 1.0]] * 4)
    >>> action, reward = np.array([0, 0, 1, 1]), np.array([0.0, 1.0, 2.0, 4.0])
    >>> calibrate(reward, action, half, always_1, np.zeros((4, 2)))[0].round(6).tolist()
    [0.5, 3.0]
    """
    rows = np.arange(reward.shape[0])
    residual = reward - predicted[rows, action]
    weights(action, logged, policy)  # refuses what the log cannot answer
    corrected = predicted.copy()
    for number in range(policy.shape[1]):
        taken = action == number
        if not taken.any():
            continue
        chance = logged[:, number]
        ratio = np.divide(policy[:, number], chance, out=np.zeros_like(chance), where=chance > 0.0)
        design = np.column_stack([np.ones(int(taken.sum())), ratio[taken]])
        level, slope = np.linalg.lstsq(design, residual[taken], rcond=None)[0]
        corrected[:, number] += level + slope * ratio
    return corrected
