"""A second opinion on a switchback: the same regression, with errors that remember."""

from __future__ import annotations

import math

import numpy as np

from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import critical
from liftwerk.stats.switchback.periods import Floats, Periods
from liftwerk.stats.switchback.randomisation import too_few

METHOD = "the same regression, Newey-West errors"
ASSUMPTIONS = ("noise forgets within the lags", "the number of periods is large")
MOST = 0.5
"""Lags as a part of all periods beyond which errors say nothing."""


def second_opinion(periods: Periods, *, washout: int, level: float = 0.95) -> Estimate | Unknown:
    r"""Estimate the effect with errors that are robust to memory and to changing spread.

    Newey and West 1987 with Bartlett weights and :math:`1.3 \sqrt n` lags (Lazarus, Lewis, Stock
    and Watson 2018), at least a block; the critical value is that of Kiefer and Vogelsang 2005,
    table 1: :math:`1.96 + 2.9694 b + 0.4160 b^2 - 0.5324 b^3`, with `b` the lags as a part of all
    periods. It needs no lot, but many periods.

    Parameters
    ----------
    periods : Periods
    washout : int
    level : float

    Returns
    -------
    Estimate or Unknown

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> block = np.repeat(np.arange(60), 4)
    >>> on = (rng.random(60) < 0.5)[block]
    >>> one = np.ones(240)
    >>> age = np.tile(np.arange(4), 60)
    >>> periods = Periods(rng.normal(size=240) + 3.0 * on, on, block, age, one, one[:, None])
    >>> answer = second_opinion(periods, washout=1)
    >>> answer.low < 3.0 < answer.high
    True
    """
    kept = periods.settled(washout)
    n = kept.value.shape[0]
    place, on = kept.blocks
    short = too_few(on)
    if short is not None:
        return short
    longest = int(np.bincount(place).max(initial=0))
    lags = max(math.ceil(1.3 * math.sqrt(n)), longest)
    if lags > MOST * n:
        return Unknown("too few periods to say how long noise is remembered", "more blocks")
    design = np.column_stack([kept.on.astype(np.float64), kept.season])
    root = np.sqrt(kept.weight)
    bread = np.linalg.pinv((design * root[:, None]).T @ (design * root[:, None]))
    coefficients = bread @ (design.T @ (kept.weight * kept.value))
    scores = design * (kept.weight * (kept.value - design @ coefficients))[:, None]
    lever = scores @ bread[0]
    freedom = n / max(n - design.shape[1], 1)
    error = math.sqrt(max(freedom * long_run(lever, lags), 0.0))
    value = float(coefficients[0])
    if error <= 1e-12 * max(abs(value), float(np.abs(kept.value).max())):
        return Unknown("nothing varied, so nothing says how sure this is", "periods that differ")
    b = lags / n
    wider = (1.96 + 2.9694 * b + 0.4160 * b**2 - 0.5324 * b**3) / 1.96
    half = critical(level) * wider * error
    return Estimate(value, value - half, value + half, error, n, METHOD, ASSUMPTIONS, level)


def long_run(contributions: Floats, lags: int) -> float:
    """Give the variance of a sum of contributions that remember, with Bartlett weights.

    Parameters
    ----------
    contributions : (n,) float array
    lags : int

    Returns
    -------
    float

    Examples
    --------
    >>> long_run(np.array([1.0, 1.0, -1.0]), 1)
    3.0
    """
    n = contributions.shape[0]
    total = float(contributions @ contributions)
    for lag in range(1, min(lags, n - 1) + 1):
        weight = 1.0 - lag / (lags + 1.0)
        total += 2.0 * weight * float(contributions[lag:] @ contributions[:-lag])
    return total
