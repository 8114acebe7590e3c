"""What it earns to treat only the customers who promise most, for every share of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats import tails
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.interval import critical, hall_quantile

Floats: TypeAlias = NDArray[np.float64]

SHARES = 101


@dataclass(frozen=True)
class ProfitCurve:
    """Value per customer (treated or not) against the share treated.

    Parameters
    ----------
    share : (101,) float array
    value : (101,) float array
    low, high : (101,) float array
        Pointwise 95% band, or None where the rewards' tail forbids one.
    refusal : Unknown or None
        Why there is no band.
    """

    share: Floats
    value: Floats
    low: Floats | None
    high: Floats | None
    refusal: Unknown | None


def profit_curve(
    priority: Floats,
    best: NDArray[np.int64],
    scores: Floats,
    reward: Floats,
    level: float = 0.95,
) -> ProfitCurve:
    """Give each customer of the top share the best action, the others control.

    Parameters
    ----------
    priority : (n,) float array
        Expected gain of the best action over control, predicted without the row's own reward.
    best : (n,) int array
        Which action that is.
    scores : (n, k) float array
        Doubly robust scores of the rewards; control first.
    reward : (n,) float array
        The logged rewards, whose tail decides whether there is a band.
    level : float

    Returns
    -------
    ProfitCurve

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(size=10_000)
    >>> scores = np.column_stack([np.zeros(10_000), gain]) + rng.normal(size=(10_000, 2))
    >>> curve = profit_curve(gain, np.ones(10_000, dtype=int), scores, scores[:, 1])
    >>> float(curve.share[curve.value.argmax()].round(1))
    0.5
    """
    n = priority.shape[0]
    order = np.argsort(-priority, kind="stable")
    control = scores[:, 0]
    extra = (scores[np.arange(n), best] - control)[order]
    share = np.linspace(0.0, 1.0, SHARES)
    taken = np.rint(share * n).astype(np.int64)
    value = control.mean() + _sums(extra, taken) / n
    refusal = tails.too_heavy(reward)
    if refusal is not None:
        return ProfitCurve(share, value, None, None, refusal)
    # A row contributes c before its turn and c + e after it: its powers change by known amounts.
    centre = control.mean()
    before = (control - centre)[order]
    after = before + extra
    second = (before**2).sum() + _sums(after**2 - before**2, taken)
    cubes = before * before * before
    third = cubes.sum() + _sums(after * after * after - cubes, taken)
    shift = value - centre
    variance = second / n - shift**2
    error = np.sqrt(variance / n)
    cumulant = third / n - 3.0 * shift * second / n + 2.0 * shift**3
    skew = np.divide(cumulant, variance**1.5, out=np.zeros(SHARES), where=variance > 0.0)
    skew = np.clip(skew / np.sqrt(n), -tails.OWN_LIMIT, tails.OWN_LIMIT)
    z = critical(level)
    low = value - error * hall_quantile(z, skew)
    high = value - error * hall_quantile(-z, skew)
    return ProfitCurve(share, value, low, high, None)


def _sums(values: Floats, taken: NDArray[np.int64]) -> Floats:
    """Add up the first so many values, for each number of them."""
    return np.asarray(np.concatenate([[0.0], np.cumsum(values)])[taken], dtype=np.float64)
