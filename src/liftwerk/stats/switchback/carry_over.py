"""How long an arm still works after it was taken away."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    left : float
        What the two blocks before still add to a settled period.
    left_p_value : float
        Of nothing being left after the washout, over all settled ages together; 1 where there are
        too few blocks to tell.
    beyond : bool
        Whether something is found after the washout, at one age or at all together.
    """

    length: int
    added: tuple[float, ...]
    p_values: tuple[float, ...]
    detectable: float
    left: float
    left_p_value: float
    beyond: bool


def carry_over(periods: Periods, *, washout: int = 0, level: float = 0.95) -> CarryOver | Unknown:
    """Estimate for how many periods a block remembers the arm of the block before it.

    The arm before is given by lot and without regard to the arm now, so at each age of a block its
    coefficient in a regression on both arms is what it still adds. Each block counts once for each
    age, hence errors for independent rows (HC3). The length is the last age at which something is
    found, Holm-corrected over the ages, plus one.

    What is left after the washout is asked of all settled ages at once, where a little at each of
    them adds up: means of blocks are regressed on the arms of the two blocks before, and the larger
    of the surprises by the last block and by both together counts (Bonferroni).

    Parameters
    ----------
    periods : Periods
        All of them, from age 0 on.
    washout : int
        Periods of a block that are not counted.
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
        design = np.column_stack([before[rows], on[rows], np.ones(rows.shape[0])])
        found = _contrasts(residual[there], design, periods.weight[there], [[1.0, 0.0, 0.0]])
        value, error, p_value = found[0]
        added.append(value)
        errors.append(error)
        p_values.append(p_value)
    if not added:
        return Unknown(
            "too few blocks that follow another one, in either arm",
            f"{FEWEST_BLOCKS} blocks in a row with both arms before and now",
        )
    found_at = np.flatnonzero(holm(p_values) <= 1.0 - level)
    length = int(found_at.max(initial=-1)) + 1
    left, left_p_value = _left(periods, residual, washout)
    return CarryOver(
        length,
        tuple(added),
        tuple(p_values),
        2.80 * float(np.median(errors)),
        left,
        left_p_value,
        length > washout or left_p_value <= 1.0 - level,
    )


def _left(periods: Periods, residual: Floats, washout: int) -> tuple[float, float]:
    """Ask all settled ages together what the two blocks before still add, with its p-value."""
    place, on = periods.blocks
    settled = (periods.age >= washout) & (periods.weight > 0.0)
    weight = np.zeros(on.shape[0])
    np.add.at(weight, place, settled * periods.weight)
    total = np.zeros(on.shape[0])
    np.add.at(total, place, settled * periods.weight * residual)
    numbers = np.unique(periods.block)
    follows = np.zeros(on.shape[0], dtype=np.bool_)
    follows[2:] = numbers[2:] - numbers[:-2] == 2
    rows = np.flatnonzero(follows & (weight > 0.0))
    if rows.shape[0] < FEWEST_BLOCKS or _same(on[rows - 2]) or _same(on[rows - 1]):
        return 0.0, 1.0
    design = np.column_stack([on[rows - 1], on[rows - 2], on[rows], np.ones(rows.shape[0])])
    last, both = [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]
    found = _contrasts(total[rows] / weight[rows], design, weight[rows], [last, both])
    return found[1][0], min(1.0, 2.0 * min(found[0][2], found[1][2]))


def _without_season(periods: Periods) -> Floats:
    """Take out what is usual at such a time and under such an arm."""
    design = np.column_stack([periods.on.astype(np.float64), periods.season])
    root = np.sqrt(periods.weight)
    fitted, *_ = np.linalg.lstsq(design * root[:, None], periods.value * root, rcond=None)
    # The arm's own effect stays in: at each age it is estimated afresh.
    return np.asarray(periods.value - periods.season @ fitted[1:], dtype=np.float64)


def _same(arms: Bools) -> bool:
    return bool(arms.all() or not arms.any())


def _contrasts(
    value: Floats, design: Floats, weight: Floats, wanted: Sequence[Sequence[float]]
) -> list[tuple[float, float, float]]:
    """Give combinations of coefficients, with HC3 errors and p-values."""
    design = design.astype(np.float64)
    weighted = design * weight[:, None]
    bread = np.linalg.pinv(design.T @ weighted)
    coefficients = bread @ (weighted.T @ value)
    leverage = np.einsum("ij,jk,ik->i", design, bread, weighted)
    off = (value - design @ coefficients) / np.maximum(1.0 - leverage, 0.05)
    found = []
    for combination in np.asarray(wanted, dtype=np.float64):
        lever = weighted @ (bread @ combination) * off
        estimate, error = float(combination @ coefficients), math.sqrt(float(lever @ lever))
        t = -abs(estimate) / max(error, 1e-300)
        p_value = float(2.0 * stdtr(value.shape[0] - design.shape[1], t))
        found.append((estimate, error, p_value))
    return found
