"""From influence contributions to an interval, or to the reason why there is none."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from liftwerk.stats import tails
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.off_policy.scores import Scores
from liftwerk.stats.simultaneous import CONSTANT, covariance_of_means

Floats: TypeAlias = NDArray[np.float64]


def critical(level: float) -> float:
    """Give the two-sided critical value of the normal distribution.

    Examples
    --------
    >>> round(critical(0.95), 4)
    1.96
    """
    return float(ndtri(0.5 + 0.5 * level))


def standard_error(influence: Floats, folds: NDArray[np.int64] | None = None) -> float:
    """Give the standard error of a mean of influence contributions.

    Parameters
    ----------
    influence : (n,) float array
    folds : (n,) int array, optional
        For a value whose policy differs from fold to fold: rows are centred within their fold.
        The folds' errors have to be uncorrelated (`stats.round_robin`).

    Returns
    -------
    float

    Examples
    --------
    >>> standard_error(np.array([0.0, 2.0]))
    1.0
    """
    return math.sqrt(float(covariance_of_means(influence[:, None], folds)[0, 0]))


def interval(
    scores: Scores,
    *,
    method: str,
    assumptions: tuple[str, ...] = (),
    folds: NDArray[np.int64] | None = None,
    level: float = 0.95,
) -> Estimate | Unknown:
    """Make an interval that is corrected for skewness: for a mean of rewards, or a policy's value.

    Parameters
    ----------
    scores : Scores
        Value and influence contributions of the rows.
    method : str
        What made the value; kept in the estimate.
    assumptions : tuple of str
        What has to hold.
    folds : (n,) int array, optional
        As for `standard_error`.
    level : float

    Returns
    -------
    Estimate or Unknown
        Unknown where nothing varies, and where few rows carry so much that no interval is honest.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> reward = rng.exponential(size=4000)
    >>> value = float(reward.mean())
    >>> answer = interval(Scores(value, reward - value), method="mean")
    >>> answer.low < 1.0 < answer.high and answer.value - answer.low < answer.high - answer.value
    True
    """
    error = standard_error(scores.influence, folds)
    refusal = _refusal(scores, error, tails.OWN_LIMIT)
    if refusal is not None:
        return refusal
    skew = skew_of_mean(scores.influence, error)
    z = critical(level)
    low = scores.value - error * float(hall_quantile(z, skew))
    high = scores.value - error * float(hall_quantile(-z, skew))
    n = scores.influence.shape[0]
    return Estimate(scores.value, low, high, error, n, method, assumptions, level)


def interval_of_difference(
    scores: Scores,
    *,
    method: str,
    assumptions: tuple[str, ...] = (),
    folds: NDArray[np.int64] | None = None,
    z: float | None = None,
    limit: float = tails.DIFFERENCE_LIMIT,
    level: float = 0.95,
) -> Estimate | Unknown:
    """Make a plain interval: for an effect, or one policy's value less another's.

    Contributions to a difference have a tail on either side. Their skewness is small or mere noise,
    and correcting for noise makes an interval too short (90% in simulated trials, against 95%
    without: `soak/tails.py`).

    Parameters
    ----------
    scores, method, assumptions, folds, level : as for `interval`
    z : float, optional
        Critical value; that of the normal distribution, unless given (`stats.simultaneous`).
    limit : float
        Largest skewness of the mean with which an interval is given.

    Returns
    -------
    Estimate or Unknown

    Examples
    --------
    >>> answer = interval_of_difference(Scores(0.0, np.array([-1.0, 1.0] * 50)), method="mean")
    >>> print(answer)
    0 (-0.196984 to 0.196984)
    """
    error = standard_error(scores.influence, folds)
    refusal = _refusal(scores, error, limit)
    if refusal is not None:
        return refusal
    if z is None:
        z = critical(level)
    low = scores.value - z * error
    high = scores.value + z * error
    n = scores.influence.shape[0]
    return Estimate(scores.value, low, high, error, n, method, assumptions, level)


def _refusal(scores: Scores, error: float, limit: float) -> Unknown | None:
    """Say why there is no interval, if so."""
    n = scores.influence.shape[0]
    if error <= CONSTANT * max(abs(scores.value), float(np.abs(scores.influence).max())):
        return Unknown("nothing varied, so nothing says how sure this is", "rows that differ")
    skew = abs(skew_of_mean(scores.influence, error))
    squares = scores.influence * scores.influence
    carrying = float(squares.sum()) ** 2 / float((squares * squares).sum())
    if skew <= limit and carrying >= tails.FEWEST:
        return None
    skew = max(skew, limit * math.sqrt(tails.FEWEST / carrying))
    needed = tails.two_digits(math.ceil(n * (skew / limit) ** 2))
    return Unknown(
        f"too few of the {n} rows carry nearly all the spread", f"about {needed} rows like these"
    )


def skew_of_mean(influence: Floats, error: float) -> float:
    """Give the skewness of a mean: that of its rows over sqrt(n) for independent rows."""
    centred = influence - influence.mean()
    third = float((centred * centred * centred).sum())
    return third / float((influence.shape[0] * error) ** 3)


def hall_quantile(z: Floats | float, skew: Floats | float) -> Floats:
    r"""Turn a normal quantile into one of the t statistic of a mean of skewed values.

    Hall (1992), *On the removal of skewness by transformation*, JRSS B 54(1): the statistic `T`
    is made normal, up to an error of order 1/n, by

    .. math:: g(T) = T + a T^2 + a^2 T^3 / 3 + b, \quad a = s / 3, \; b = s / 6

    with `s` the skewness of the mean. The cubic is monotone; this is its inverse.

    Parameters
    ----------
    z, skew : float or array

    Returns
    -------
    array

    Examples
    --------
    >>> [float(hall_quantile(z, 0.2).round(3)) for z in (1.96, -1.96)]
    [1.722, -2.339]
    """
    a = np.asarray(skew, dtype=np.float64) / 3.0
    straight = np.abs(a) < 1e-8
    curved = np.where(straight, 1.0, a)
    turned = (np.cbrt(1.0 + 3.0 * curved * (z - 0.5 * curved)) - 1.0) / curved
    return np.where(straight, z, turned)


def hall_transform(statistic: Floats, skew: Floats | float) -> Floats:
    """Turn a t statistic of skewed values into a normal one: what `hall_quantile` is inverse to.

    Parameters
    ----------
    statistic, skew : float or array

    Returns
    -------
    array

    Examples
    --------
    >>> float(hall_transform(hall_quantile(1.96, 0.2), 0.2).round(6))
    1.96
    """
    a = np.asarray(skew, dtype=np.float64) / 3.0
    turned = statistic + a * statistic**2 + a**2 * statistic**3 / 3.0 + 0.5 * a
    return np.asarray(turned, dtype=np.float64)
