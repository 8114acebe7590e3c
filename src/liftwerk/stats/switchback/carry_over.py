"""How long an arm still works after it was taken away."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from scipy.special import stdtr

from liftwerk.stats.estimate import Unknown
from liftwerk.stats.multiplicity import holm
from liftwerk.stats.switchback.periods import Bools, Floats, Periods

FEWEST_BLOCKS = 20
"""Blocks that follow another one, below which errors are guesses."""


class CarryOver(Struct, frozen=True):
    """What the arm before still adds, by the age of the block.

    Attributes
    ----------
    length : int
        Periods after which nothing of the arm before is found any more; 0 where nothing was.
    added : tuple of float
        What the arm of the block before adds at each age.
    p_values : tuple of float
        Of nothing being left at this age.
    detectable : float
        A carry-over at one age that would be found four times out of five.
    """

    length: int
    added: tuple[float, ...]
    p_values: tuple[float, ...]
    detectable: float


def carry_over(periods: Periods, *, level: float = 0.95) -> CarryOver | Unknown:
    """Estimate for how many periods a block remembers the arm of the block before it.

    The arm before is given by lot and without regard to the arm now, so at each age of a block its
    coefficient in a regression on both arms is what it still adds. Each block counts once for each
    age, hence errors for independent rows (HC3). The length is the last age at which something is
    found, Holm-corrected over the ages, plus one.

    Parameters
    ----------
    periods : Periods
        All of them, from age 0 on.
    level : float

    Returns
    -------
    CarryOver or Unknown
        Unknown with too few blocks that follow another one.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> block = np.repeat(np.arange(80), 3)
    >>> age = np.tile(np.arange(3), 80)
    >>> on = (rng.random(80) < 0.5)[block]
    >>> value = 0.1 * rng.normal(size=240) + np.where(age == 0, np.roll(on, 1), on)
    >>> periods = Periods(value, on, block, age, np.ones(240), np.ones((240, 1)))
    >>> carry_over(periods).length
    1
    """
    place, on = periods.blocks
    numbers = np.unique(periods.block)
    follows = np.concatenate([[False], np.diff(numbers) == 1])
    before = np.concatenate([[False], on[:-1]])
    residual = _without_season(periods)
    added, errors, p_values = [], [], []
    for age in range(int(periods.age.max(initial=-1)) + 1):
        there = (periods.age == age) & follows[place] & (periods.weight > 0.0)
        rows = place[there]
        if rows.shape[0] < FEWEST_BLOCKS or _same(before[rows]) or _same(on[rows]):
            break
        found = _coefficient(residual[there], before[rows], on[rows], periods.weight[there])
        added.append(found[0])
        errors.append(found[1])
        t = -abs(found[0]) / max(found[1], 1e-300)
        p_values.append(float(2.0 * stdtr(rows.shape[0] - 3, t)))
    if not added:
        return Unknown(
            "too few blocks that follow another one, in either arm",
            f"{FEWEST_BLOCKS} blocks in a row with both arms before and now",
        )
    found_at = np.flatnonzero(holm(p_values) <= 1.0 - level)
    length = int(found_at.max(initial=-1)) + 1
    return CarryOver(length, tuple(added), tuple(p_values), 2.80 * float(np.median(errors)))


def _without_season(periods: Periods) -> Floats:
    """Take out what is usual at such a time and under such an arm."""
    design = np.column_stack([periods.on.astype(np.float64), periods.season])
    root = np.sqrt(periods.weight)
    fitted, *_ = np.linalg.lstsq(design * root[:, None], periods.value * root, rcond=None)
    # The arm's own effect stays in: at each age it is estimated afresh.
    return np.asarray(periods.value - periods.season @ fitted[1:], dtype=np.float64)


def _same(arms: Bools) -> bool:
    return bool(arms.all() or not arms.any())


def _coefficient(value: Floats, before: Bools, now: Bools, weight: Floats) -> tuple[float, float]:
    """Give the coefficient of the arm before beside that of the arm now, with HC3 errors."""
    design = np.column_stack(
        [before.astype(np.float64), now.astype(np.float64), np.ones(value.shape[0])]
    )
    weighted = design * weight[:, None]
    bread = np.linalg.pinv(design.T @ weighted)
    coefficients = bread @ (weighted.T @ value)
    leverage = np.einsum("ij,jk,ik->i", design, bread, weighted)
    off = (value - design @ coefficients) / np.maximum(1.0 - leverage, 0.05)
    lever = weighted @ bread[0] * off
    return float(coefficients[0]), math.sqrt(float(lever @ lever))
