r"""Intervals of a bandit's log that hold at every look: look daily, stop when you like.

The weighted scores are a martingale whose rows bring equal variance, which is what the asymptotic
confidence sequence for martingales asks for (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024,
*Time-uniform central limit theory and asymptotic confidence sequences*, Annals of Statistics 52(6),
with Robbins' normal mixture; for off-policy values Waudby-Smith, Wu, Ramdas, Karampatziakis and
Mineiro 2022, *Anytime-valid off-policy inference for contextual bandits*, of whose intervals this
is the asymptotic kind). With `V` the sum of squared weighted errors of n rows,

.. math:: \Big| \sum_t h_t (\Gamma_t - Q) \Big| \le
    \sqrt{\frac{V}{n} \, \frac{n \rho^2 + 1}{\rho^2} \log \frac{n \rho^2 + 1}{\alpha^2}}

at all n at once, after a beginning that is long enough for the sums to be nearly normal.
"""

from __future__ import annotations

import math

import numpy as np

from liftwerk.stats.adaptive.contributions import weighted
from liftwerk.stats.adaptive.estimate import ASSUMPTIONS, METHOD, Difference
from liftwerk.stats.adaptive.log import Floats, Log
from liftwerk.stats.adaptive.refusal import refusal
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.off_policy.scores import Scores

SKEWED = 0.15
"""Largest skewness of the sums: the sequence is not corrected for it."""
ALWAYS = " (confidence sequence)"


def anytime_value(
    log: Log, policy: Floats, *, planned: int, level: float = 0.95
) -> Estimate | Unknown:
    """Estimate what a policy earns, with an interval that holds at every look.

    Parameters
    ----------
    log : Log
        All rows so far.
    policy : (k,) float array
    planned : int
        Rows at which the interval is to be narrowest: fixed before the first look.
    level : float

    Returns
    -------
    Estimate or Unknown

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> action = rng.integers(0, 2, 1000)
    >>> log = Log(rng.normal(action), action, np.full(1000, 0.5), np.zeros(1000, int), ["a", "b"])
    >>> answer = anytime_value(log, np.array([0.0, 1.0]), planned=2000)
    >>> answer.low < 1.0 < answer.high
    True
    """
    scores = weighted(log, policy)
    refused = refusal(log, policy, scores, SKEWED)
    if refused is not None:
        return refused
    return _estimate(log, scores, planned, level)


def anytime_difference(
    log: Log, policy: Floats, against: Floats, *, planned: int, level: float = 0.95
) -> Difference:
    """Estimate how much more a policy earns than another, with an interval for every look.

    The rows' scores of the two are subtracted before they are weighted: one martingale.

    Parameters
    ----------
    log : Log
    policy, against : (k,) float array
    planned : int
    level : float

    Returns
    -------
    Difference
        Its p-value holds at every look too.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> action = rng.integers(0, 2, 1000)
    >>> log = Log(rng.normal(action), action, np.full(1000, 0.5), np.zeros(1000, int), ["a", "b"])
    >>> found = anytime_difference(
    ...     log, np.array([0.0, 1.0]), np.array([1.0, 0.0]), planned=2000
    ... )
    >>> found.estimate.low < 1.0 < found.estimate.high, found.p_value < 0.001
    (True, True)
    """
    for one in (policy, against):
        refused = refusal(log, one, weighted(log, one), SKEWED)
        if refused is not None:
            return Difference(refused, None)
    scores = weighted(log, policy - against)
    refused = refusal(log, policy - against, scores, SKEWED)
    if refused is not None:
        return Difference(refused, None)
    return Difference(_estimate(log, scores, planned, level), _p_value(scores, planned, level))


def _estimate(log: Log, scores: Scores, planned: int, level: float) -> Estimate:
    error = float(np.sqrt(scores.influence @ scores.influence)) / log.n
    half = error * boundary(log.n, planned, level)
    return Estimate(
        scores.value,
        scores.value - half,
        scores.value + half,
        error,
        log.n,
        METHOD + ALWAYS,
        ASSUMPTIONS,
        level,
    )


def mixture(planned: int, level: float) -> float:
    """Give the square of rho with which the boundary is lowest at the planned rows.

    The paper's equation for it, ``(-2 log alpha + log(-2 log alpha + 1)) / n``.
    """
    twice = -2.0 * math.log(1.0 - level)
    return (twice + math.log(twice + 1.0)) / planned


def boundary(n: int, planned: int, level: float) -> float:
    """Give the half-width in standard errors after n rows.

    Examples
    --------
    >>> round(boundary(1000, 1000, 0.95), 2), round(boundary(100, 1000, 0.95), 2)
    (3.04, 3.86)
    """
    rho = mixture(planned, level)
    alpha = 1.0 - level
    return math.sqrt((n * rho + 1.0) / (n * rho) * math.log((n * rho + 1.0) / alpha**2))


def _p_value(scores: Scores, planned: int, level: float) -> float:
    """Give 1 less the level at which the interval ends at 0, with the mixture of `level`."""
    n = scores.influence.shape[0]
    rho = mixture(planned, level)
    error = math.sqrt(float(scores.influence @ scores.influence)) / n
    exponent = (scores.value / error) ** 2 * n * rho / (n * rho + 1.0)
    return min(1.0, math.exp(0.5 * (math.log(n * rho + 1.0) - exponent)))
