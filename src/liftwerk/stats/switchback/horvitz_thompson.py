"""The estimator that belongs to the minimax design: exact without any model, and wide."""

from __future__ import annotations

import math

import numpy as np

from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import critical
from liftwerk.stats.switchback.design import randomisation_points
from liftwerk.stats.switchback.periods import Bools, Floats

METHOD = "Horvitz-Thompson over the minimax design"
ASSUMPTIONS = (
    "blocks were drawn by half and half at the design's points",
    "an arm works for no more periods than the order after it was taken away",
)
FEWEST = 20
"""Spans between points below which their sum is not nearly normal."""


def horvitz_thompson(
    value: Floats, on: Bools, order: int, *, level: float = 0.95
) -> Estimate | Unknown:
    r"""Estimate the effect of the arm always on over never on, without a model of the outcome.

    Bojinov, Simchi-Levi and Zhao 2023, equation 2 with `p = m`:

    .. math:: \hat\tau = \frac{1}{T - m} \sum_{t > m} Y_t
        \left(\frac{1\{W_{t-m:t} = 1\}}{P(W_{t-m:t} = 1)}
        - \frac{1\{W_{t-m:t} = 0\}}{P(W_{t-m:t} = 0)}\right)

    and the conservative variance of their theorem 3, from sums of outcomes over spans of m periods
    (`conservative_variance`). It holds whatever the outcomes are; what it pays is their level: take
    what is usual out of the outcomes first, from data before the experiment.

    Parameters
    ----------
    value : (T,) float array
    on : (T,) bool array
        Drawn at `design.randomisation_points`.
    order : int
    level : float

    Returns
    -------
    Estimate or Unknown

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> lots = rng.random(len(randomisation_points(400, 2))) < 0.5
    >>> on = np.repeat(lots, np.diff(np.append(randomisation_points(400, 2), 400)))
    >>> answer = horvitz_thompson(rng.normal(size=400) + 3.0 * on, on, 2)
    >>> answer.low < 3.0 < answer.high
    True
    """
    spans, on_throughout, off_throughout, chance = _spans(value, on, order)
    counted = value.shape[0] - order
    signs = on_throughout.astype(np.float64) - off_throughout
    found = float((spans * signs / chance).sum()) / counted
    if spans.shape[0] < FEWEST:
        reason = f"{spans.shape[0]} spans between the lots are too few"
        return Unknown(reason, f"{(FEWEST + 1) * order} periods")
    error = math.sqrt(conservative_variance(value, on, order))
    if error == 0.0:
        return Unknown("all outcomes are 0, so nothing says how sure this is", "outcomes")
    half = critical(level) * error
    return Estimate(found, found - half, found + half, error, counted, METHOD, ASSUMPTIONS, level)


def conservative_variance(value: Floats, on: Bools, order: int) -> float:
    r"""Bound the variance from above, on average over the lot (theorem 3).

    With :math:`\bar Y_k` the sum of outcomes over span k, what is seen where the arm did not change
    in it and before it, ends counting as below:

    .. math:: \frac{1}{(T-m)^2} \Big( \sum_k c_k \bar Y_k^2 1_k
        + \sum_k d_k \bar Y_k \bar Y_{k+1} 1_{k,k+1} \Big)

    with `c` 6 at the ends and 24 between, `d` 8 at the ends and 16 between, and the indicators that
    the arm was the same throughout. Only products of one outcome on and another off, which are
    never seen together, are bounded: by the mean of their squares.

    Parameters
    ----------
    value : (T,) float array
    on : (T,) bool array
    order : int

    Returns
    -------
    float
    """
    spans, on_throughout, off_throughout, chance = _spans(value, on, order)
    # A variance of span k under one arm: 1 / chance - 1, and 1 for its product with the other arm,
    # and 1 for that with each neighbour of the other arm.
    neighbours = np.full(spans.shape[0], 2.0)
    neighbours[[0, -1]] = 1.0
    seen = on_throughout | off_throughout
    total = float((spans**2 * seen * (1.0 / chance + neighbours) / chance).sum())
    both = (on_throughout[1:] & on_throughout[:-1]) | (off_throughout[1:] & off_throughout[:-1])
    # Two neighbours share one lot.
    together = 2.0 * chance[1:] * chance[:-1]
    covariance = together / (chance[1:] * chance[:-1]) - 1.0
    products = spans[1:] * spans[:-1] * both
    total += float((2.0 * covariance * products / together).sum())
    return float(total / (value.shape[0] - order) ** 2)


def _spans(value: Floats, on: Bools, order: int) -> tuple[Floats, Bools, Bools, Floats]:
    """Add outcomes up over spans of `order` periods, and say under which arm they count."""
    periods = value.shape[0]
    randomisation_points(periods, order)
    spans = value[order:].reshape(-1, order).sum(axis=1)
    by_span = on.reshape(-1, order)[:, 0]
    if (on.reshape(-1, order) != by_span[:, None]).any():
        raise ValueError("the arm changes between the design's points")
    same_on = by_span[1:] & by_span[:-1]
    same_off = ~by_span[1:] & ~by_span[:-1]
    # The first span and the last lie in one block of 2m; those between look at two lots.
    chance = np.full(spans.shape[0], 0.25)
    chance[[0, -1]] = 0.5
    return spans, np.asarray(same_on), np.asarray(same_off), chance
