"""Values of arms and policies, and their differences, read once from a finished log."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.special import ndtr

from liftwerk.lazy import LazyModule
from liftwerk.stats.adaptive.contributions import weighted
from liftwerk.stats.adaptive.log import Floats, Log
from liftwerk.stats.adaptive.refusal import refusal
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import critical, hall_quantile, skew_of_mean, standard_error
from liftwerk.stats.off_policy.scores import Scores

if TYPE_CHECKING:
    from scipy import optimize
else:
    optimize = LazyModule("scipy.optimize")

METHOD = "scores weighted to equal variance"
ASSUMPTIONS = (
    "rows are in the order of their draws, with the probabilities they were drawn with",
    "an arm earns the same on average at all times",
)
FARTHEST = 12.0
"""Standard errors beyond which a p-value is 0: the normal distribution ends there for a float."""


class Difference(Struct, frozen=True):
    """How much more one policy earns than another.

    Attributes
    ----------
    estimate : Estimate or Unknown
    p_value : float or None
        Below 1 - level exactly where the interval leaves 0 out: it is 1 less the level at which the
        interval ends at 0. None where the difference is unknown.
    """

    estimate: Estimate | Unknown
    p_value: float | None


def value(log: Log, policy: Floats, *, level: float = 0.95) -> Estimate | Unknown:
    """Estimate what a policy earns for each row, from a log that another one drew.

    Parameters
    ----------
    log : Log
    policy : (k,) float array
        Probability of each arm; one of them 1 for an arm's value.
    level : float

    Returns
    -------
    Estimate or Unknown
        With Hall's correction for skewness (`stats.interval`).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> chances = np.repeat([[0.5, 0.5], [0.9, 0.1]], 2000, axis=0)
    >>> action = (rng.random(4000) > chances[:, 0]).astype(int)
    >>> reward = rng.normal(action, 1.0)
    >>> own = chances[np.arange(4000), action]
    >>> log = Log(reward, action, own, np.repeat([0, 1], 2000), ["a", "b"], chances)
    >>> answer = value(log, np.array([0.0, 1.0]))
    >>> answer.low < 1.0 < answer.high
    True
    """
    scores = weighted(log, policy)
    refused = refusal(log, policy, scores)
    if refused is not None:
        return refused
    low, high = _ends(scores, critical(level))
    error = standard_error(scores.influence)
    return Estimate(scores.value, low, high, error, log.n, METHOD, ASSUMPTIONS, level)


def difference(log: Log, policy: Floats, against: Floats, *, level: float = 0.95) -> Difference:
    r"""Estimate how much more a policy earns than another one.

    The two values' skewed intervals are put together by Zou and Donner 2008, *Construction of
    confidence intervals about effect measures: a general approach* (Statistics in Medicine 27):

    .. math:: L = d - \sqrt{(q_1 - l_1)^2 + (u_2 - q_2)^2 - 2 r (q_1 - l_1) (u_2 - q_2)}

    and the upper end likewise, with `r` the correlation of the values. Where nothing is skewed this
    is the interval of Hadad et al. 2021 for a difference.

    Parameters
    ----------
    log : Log
    policy, against : (k,) float array
    level : float

    Returns
    -------
    Difference

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> action = rng.integers(0, 2, 1000)
    >>> log = Log(rng.normal(action), action, np.full(1000, 0.5), np.zeros(1000, int), ["a", "b"])
    >>> found = difference(log, np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    >>> found.estimate.low < 1.0 < found.estimate.high, found.p_value < 0.001
    (True, True)
    """
    first, second = weighted(log, policy), weighted(log, against)
    for one, whose in ((first, policy), (second, against)):
        refused = refusal(log, whose, one)
        if refused is not None:
            return Difference(refused, None)
    between = first.value - second.value
    error = standard_error(first.influence - second.influence)
    low, high = _ends_between(first, second, critical(level))
    estimate = Estimate(between, low, high, error, log.n, METHOD, ASSUMPTIONS, level)
    return Difference(estimate, _p_value(first, second))


def _ends(scores: Scores, z: float) -> tuple[float, float]:
    error = standard_error(scores.influence)
    skew = skew_of_mean(scores.influence, error)
    low = scores.value - error * float(hall_quantile(z, skew))
    high = scores.value - error * float(hall_quantile(-z, skew))
    # Between the levels 0 and about 5% the corrected interval does not hold the value itself.
    return min(low, scores.value), max(high, scores.value)


def _ends_between(first: Scores, second: Scores, z: float) -> tuple[float, float]:
    (low_1, high_1), (low_2, high_2) = _ends(first, z), _ends(second, z)
    down_1, up_1 = first.value - low_1, high_1 - first.value
    down_2, up_2 = second.value - low_2, high_2 - second.value
    a, b = first.influence, second.influence
    r = float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
    between = first.value - second.value
    low = between - math.sqrt(max(down_1**2 + up_2**2 - 2.0 * r * down_1 * up_2, 0.0))
    high = between + math.sqrt(max(up_1**2 + down_2**2 - 2.0 * r * up_1 * down_2, 0.0))
    return low, high


def _p_value(first: Scores, second: Scores) -> float:
    """Find the level at which the interval ends at 0."""

    def beyond(z: float) -> float:
        low, high = _ends_between(first, second, z)
        return max(low, -high)

    if beyond(0.0) <= 0.0:
        return 1.0
    if beyond(FARTHEST) > 0.0:
        return 0.0
    return float(2.0 * ndtr(-optimize.brentq(beyond, 0.0, FARTHEST)))


def one_arm(log: Log, arm: str) -> Floats:
    """Give the policy that always takes one arm, (k,).

    Raises
    ------
    ValueError
        If the log has no such arm.
    """
    if arm not in log.arms:
        raise ValueError(f"no arm {arm!r}; there are {', '.join(log.arms)}")
    return np.asarray(np.eye(len(log.arms))[list(log.arms).index(arm)], dtype=np.float64)
