r"""The effect of an arm that takes turns, judged by the lot that gave the turns.

If the arm adds `tau` to every settled period, then the outcomes less `tau` where it was on are the
same whatever the lot had been: the whole distribution of any statistic under other lots is known,
however the noise remembers, trends or swings (Fisher; for switchbacks Bojinov, Simchi-Levi and Zhao
2023, *Design and analysis of switchback experiments*, Management Science 69(7), section 4.1). The
statistic is the regression coefficient of the arm beside the seasons. It is linear in the outcomes:
under a lot `w` it is :math:`a - \tau b`, with `a` the coefficient of the outcomes and `b` that of
the arm that really was on. So `tau` is compatible with the data where

.. math:: |a - \tau b| \ge |\hat\tau - \tau|

for more than 5% of the lots, and each lot says so for `tau` between
:math:`(\hat\tau - a) / (1 - b)` and :math:`(\hat\tau + a) / (1 + b)`. Interval and p-value are read
off these ends: they cannot contradict each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from liftwerk.lazy import LazyModule
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import critical
from liftwerk.stats.switchback.periods import Bools, Floats, Integers, Periods

if TYPE_CHECKING:
    from scipy import linalg
else:
    linalg = LazyModule("scipy.linalg")

LOTS = 4_999
FEWEST_BLOCKS = 12
"""Blocks below which two arms have too few lots between them."""
METHOD = "regression on the arm and the seasons, interval from the lot by test inversion"
ASSUMPTIONS = (
    "blocks were given to arms by lot, each by itself",
    "after the washout a block does not remember the one before",
    "the effect is the same in all settled periods, or the arms have equal shares",
)
CONSTANT = 1e-9


class Effect(Struct, frozen=True):
    """What the arm adds to a settled period.

    Attributes
    ----------
    estimate : Estimate or Unknown
    p_value : float or None
        Of no effect: at most 1 - level exactly where the interval leaves 0 out.
    """

    estimate: Estimate | Unknown
    p_value: float | None


class Regression(Struct, frozen=True, eq=False):
    """Sums over blocks that give the coefficient of the arm under any lot.

    Attributes
    ----------
    outcomes : (J,) float array
        Weighted sums of outcomes after the seasons were taken out.
    weights : (J,) float array
        Weights of each block's periods.
    seasons : (J, q) float array
        What each block's indicator has in common with the seasons.
    """

    outcomes: Floats
    weights: Floats
    seasons: Floats

    def coefficients(self, lots: Floats, really: Floats) -> tuple[Floats, Floats, Bools]:
        """Give `a` and `b` of each lot, and which lots tell the arms apart from the seasons.

        Parameters
        ----------
        lots : (R, J) float array of 0 and 1
        really : (J,) float array of 0 and 1

        Returns
        -------
        a, b : (r,) float array
            Of the lots that do.
        able : (R,) bool array
        """
        common = lots @ self.seasons
        spread = lots @ self.weights - np.einsum("rq,rq->r", common, common)
        able = spread > CONSTANT * float(self.weights.sum())
        lots, common, spread = lots[able], common[able], spread[able]
        a = lots @ self.outcomes / spread
        b = (lots @ (self.weights * really) - common @ (really @ self.seasons)) / spread
        return a, b, np.asarray(able, dtype=np.bool_)


def effect(
    periods: Periods,
    *,
    washout: int,
    share: float,
    rng: np.random.Generator,
    level: float = 0.95,
    lots: int = LOTS,
) -> Effect:
    """Estimate what the arm adds, with interval and p-value from the lot.

    Parameters
    ----------
    periods : Periods
        All of them, the unsettled ones too.
    washout : int
        Periods at the beginning of each block that are left out.
    share : float
        Probability with which each block was given to the treated arm, of the two.
    rng : numpy.random.Generator
        Draws other lots.
    level : float
    lots : int

    Returns
    -------
    Effect
        Unknown where the lot cannot tell.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> block = np.repeat(np.arange(60), 4)
    >>> on = (rng.random(60) < 0.5)[block]
    >>> value = rng.normal(size=240) + 3.0 * on
    >>> one = np.ones(240)
    >>> periods = Periods(value, on, block, np.tile(np.arange(4), 60), one, one[:, None])
    >>> found = effect(periods, washout=1, share=0.5, rng=rng)
    >>> found.estimate.low < 3.0 < found.estimate.high, found.p_value
    (True, 0.0002)
    """
    kept = periods.settled(washout)
    place, on = kept.blocks
    short = too_few(on)
    if short is not None:
        return Effect(short, None)
    really = on.astype(np.float64)
    regression = regress(kept, place, on.shape[0])
    found, _, able = regression.coefficients(really[None, :], really)
    if not able[0]:
        return Effect(
            Unknown("the arm's blocks are at the same hours throughout", "blocks at other hours"),
            None,
        )
    value = float(found[0])
    drawn = (rng.random((lots, on.shape[0])) < share).astype(np.float64)
    a, b, _ = regression.coefficients(drawn, really)
    low, high = _compatible(value, a, b)
    n = low.shape[0]
    if n == 0:
        return Effect(Unknown("no other lot tells the arms apart", "more blocks"), None)
    # So many lots have to find an effect compatible for it to be in the interval.
    needed = max(math.floor(round((1.0 - level) * (n + 1), 9)), 1)
    lower, upper = float(np.sort(low)[needed - 1]), float(-np.sort(-high)[needed - 1])
    if not math.isfinite(lower - upper):
        reason = f"{on.shape[0]} blocks allow too few different lots"
        return Effect(Unknown(reason, "more blocks, or more equal shares"), None)
    p_value = (1 + int(((low <= 0.0) & (high >= 0.0)).sum())) / (n + 1)
    # The spread of the coefficient if the estimate were true.
    error = float(np.sqrt(np.mean((a - value * b) ** 2)))
    estimate = Estimate(value, lower, upper, error, kept.value.shape[0], METHOD, ASSUMPTIONS, level)
    return Effect(estimate, p_value)


def detectable(
    history: Periods,
    *,
    washout: int,
    share: float,
    rng: np.random.Generator,
    level: float = 0.95,
    power: float = 0.8,
    lots: int = 999,
) -> float | Unknown:
    """Say which effect a switchback of the history's blocks finds with the wanted power.

    Parameters
    ----------
    history, washout, share, rng, lots : as for `spread`
    level, power : float

    Returns
    -------
    float or Unknown
        In the unit of the outcome, either way: the spread of the coefficient over lots, times the
        sum of the two critical values.
    """
    found = spread(history, washout=washout, share=share, rng=rng, lots=lots)
    if isinstance(found, Unknown):
        return found
    return (critical(level) + critical(2.0 * power - 1.0)) * found


def spread(
    history: Periods, *, washout: int, share: float, rng: np.random.Generator, lots: int = 999
) -> float | Unknown:
    """Say how much the coefficient of the arm scatters over lots where no arm does anything.

    Parameters
    ----------
    history : Periods
        Periods in which no arm was on, in blocks as they are planned; `on` is not read.
    washout : int
    share : float
    rng : numpy.random.Generator
    lots : int

    Returns
    -------
    float or Unknown
        In the unit of the outcome: the standard error of a reading, known before it.
    """
    kept = history.settled(washout)
    place, on = kept.blocks
    if on.shape[0] < FEWEST_BLOCKS:
        reason = f"{on.shape[0]} blocks are too few"
        return Unknown(reason, f"{FEWEST_BLOCKS} blocks, and 3 of either arm")
    regression = regress(kept, place, on.shape[0])
    drawn = (rng.random((lots, on.shape[0])) < share).astype(np.float64)
    a, _, _ = regression.coefficients(drawn, np.zeros(on.shape[0]))
    if a.shape[0] == 0:
        return Unknown("no lot tells the arms apart from the seasons", "more blocks")
    return float(np.sqrt(np.mean(a**2)))


def p_values(
    periods: Periods,
    added: Floats,
    times: Sequence[float],
    *,
    washout: int,
    share: float,
    rng: np.random.Generator,
    lots: int = LOTS,
) -> Floats | None:
    """Say which p-values `effect` would give, had the arm added some multiples of an amount.

    Parameters
    ----------
    periods : Periods
        All of them, with nothing added.
    added : (n,) float array
        To each period, once; 0 where the arm is not on.
    times : sequence of float
        How many times as much.
    washout, share, rng, lots : as for `effect`

    Returns
    -------
    (len(times),) float array or None
        Of no effect: the part of the lots whose coefficient is as large, either way. None where the
        lot cannot tell.
    """
    kept = periods.settled(washout)
    place, on = kept.blocks
    if too_few(on) is not None:
        return None
    basis = seasons_of(kept)
    more = added[(periods.age >= washout) & (periods.weight > 0.0)]
    parts = [regress(kept, place, on.shape[0], basis)]
    moved = Periods(more, kept.on, kept.block, kept.age, kept.weight, kept.season)
    parts.append(regress(moved, place, on.shape[0], basis))
    really = on.astype(np.float64)
    drawn = (rng.random((lots, on.shape[0])) < share).astype(np.float64)
    tried = np.concatenate([really[None, :], drawn])
    (usual, _, able), (once, _, _) = (part.coefficients(tried, really) for part in parts)
    if not able[0] or usual.shape[0] == 1:
        return None
    found = np.abs(usual[:, None] + once[:, None] * np.asarray(times)[None, :])
    as_large = found[1:] >= found[0] * (1.0 - CONSTANT)
    return np.asarray((1 + as_large.sum(axis=0)) / found.shape[0], dtype=np.float64)


def seasons_of(periods: Periods) -> Floats:
    """Make the weighted seasons orthogonal, without those that others already say."""
    root = np.sqrt(periods.weight)
    # Pivoted: seasons that others already say (one weekday only, say) come last, with nothing left
    # on the diagonal.
    basis, triangle, _ = linalg.qr(periods.season * root[:, None], mode="economic", pivoting=True)
    left = np.abs(np.diag(triangle))
    return np.asarray(basis[:, left > CONSTANT * left.max()], dtype=np.float64)


def regress(
    periods: Periods, place: Integers, blocks: int, basis: Floats | None = None
) -> Regression:
    """Take the seasons out, and add up by block; the seasons may have been made before."""
    root = np.sqrt(periods.weight)
    if basis is None:
        basis = seasons_of(periods)
    outcome = periods.value * root
    outcome = outcome - basis @ (basis.T @ outcome)
    seasons = np.zeros((blocks, basis.shape[1]))
    np.add.at(seasons, place, basis * root[:, None])
    weights, outcomes = np.zeros(blocks), np.zeros(blocks)
    np.add.at(weights, place, periods.weight)
    np.add.at(outcomes, place, outcome * root)
    return Regression(outcomes, weights, seasons)


def _compatible(value: float, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Give the ends between which each lot finds an effect compatible; those of all it may."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (value - a) / (1.0 - b)
        second = (value + a) / (1.0 + b)
    low, high = np.minimum(first, second), np.maximum(first, second)
    # The lot that was drawn, and its opposite, are always as extreme as what was seen.
    always = np.abs(b) > 1.0 - CONSTANT
    return np.where(always, -np.inf, low), np.where(always, np.inf, high)


def too_few(on: Bools) -> Unknown | None:
    """Refuse so few blocks that there are hardly other lots.

    Parameters
    ----------
    on : (J,) bool array
        Which blocks are on.

    Returns
    -------
    Unknown or None
    """
    blocks, treated = on.shape[0], int(on.sum())
    fewest = min(treated, blocks - treated)
    if blocks >= FEWEST_BLOCKS and fewest >= 3:
        return None
    return Unknown(
        f"{blocks} settled blocks, {treated} of them with the arm on, are too few",
        f"{FEWEST_BLOCKS} blocks, and 3 of either arm",
    )
