"""The doubly robust estimator."""

from __future__ import annotations

import numpy as np

from liftwerk.stats.off_policy.scores import Floats, Integers, Scores, planned, weights


def influence(
    reward: Floats,
    action: Integers,
    logged: Floats,
    policy: Floats,
    predicted: Floats,
) -> Scores:
    r"""Value a policy by predictions, corrected by reweighted residuals.

    .. math:: \hat V = \frac{1}{n} \sum_i \Big[ \sum_a \pi(a | x_i) \hat m(x_i, a)
              + w_i \, (r_i - \hat m(x_i, a_i)) \Big]

    Robins, Rotnitzky and Zhao (1994), JASA 89; for policies Dudík, Langford and Li (2011), *Doubly
    robust policy evaluation and learning*, ICML. With known probabilities it is unbiased whatever
    the model, as long as the model was fitted without the rows it predicts.

    Parameters
    ----------
    reward : (n,) float array
    action : (n,) int array
    logged : (n, k) float array
    policy : (n, k) float array
    predicted : (n, k) float array
        Expected reward of each action, predicted without the row itself.

    Returns
    -------
    Scores

    Examples
    --------
    >>> half = np.full((2, 2), 0.5)
    >>> always_1 = np.array([[0.0, 1.0], [0.0, 1.0]])
    >>> model = np.array([[0.0, 2.0], [0.0, 2.0]])
    >>> influence(np.array([1.0, 3.0]), np.array([0, 1]), half, always_1, model).value
    3.0
    """
    rows = np.arange(reward.shape[0])
    residual = reward - predicted[rows, action]
    contribution = planned(policy, predicted) + weights(action, logged, policy) * residual
    value = float(contribution.mean())
    return Scores(value, contribution - value)


def action_scores(reward: Floats, action: Integers, logged: Floats, predicted: Floats) -> Floats:
    r"""Give each row's doubly robust score for every action.

    .. math:: \Gamma_{ia} = \hat m(x_i, a) + 1[a_i = a] \, (r_i - \hat m(x_i, a)) / p(a | x_i)

    Unbiased for the expected reward of each action given the row's covariates, but noisy: to be
    averaged. The value of a policy is the mean of the scores weighted by its probabilities, an
    effect the difference of two columns.

    Parameters
    ----------
    reward, action, logged, predicted : as for `influence`

    Returns
    -------
    (n, k) float array

    Examples
    --------
    >>> action_scores(np.array([3.0]), np.array([1]), np.array([[0.5, 0.5]]), np.ones((1, 2)))
    array([[1., 5.]])
    """
    rows = np.arange(reward.shape[0])
    scores = predicted.copy()
    residual = reward - predicted[rows, action]
    scores[rows, action] += residual / logged[rows, action]
    return scores
