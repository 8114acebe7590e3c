"""The periods of a switchback: what was measured when, under which arm, in which block."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]


class Periods(msgspec.Struct, frozen=True, eq=False):
    """Periods in the order of time, two arms.

    Parameters
    ----------
    value : (n,) float array
        The outcome of each period.
    on : (n,) bool array
        Whether the treated arm was on; the same for all periods of a block.
    block : (n,) int array
        Number of the block, not falling; a gap in the numbers is a block of another arm.
    age : (n,) int array
        How many periods into its block each is, from 0.
    weight : (n,) float array
        What each period counts: 1, or the denominator of a ratio.
    season : (n, q) float array
        Columns that say what is usual at such a time, the intercept among them.

    Raises
    ------
    ValueError
        If shapes differ, a number is not finite, or a block has two arms.
    """

    value: Floats
    on: Bools
    block: Integers
    age: Integers
    weight: Floats
    season: Floats

    def __post_init__(self) -> None:
        n = self.value.shape[0]
        for name in ("on", "block", "age", "weight"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{n} periods, but {name} of shape {getattr(self, name).shape}")
        if self.season.ndim != 2 or self.season.shape[0] != n:
            raise ValueError(f"{n} periods, but seasons of shape {self.season.shape}")
        if not (np.isfinite(self.value).all() and np.isfinite(self.season).all()):
            raise ValueError("a period's value is not finite")
        if not (self.weight >= 0.0).all():
            raise ValueError("a period's weight is below 0 or missing")
        if (np.diff(self.block) < 0).any():
            raise ValueError("periods are not in the order of time")
        same = self.block[1:] == self.block[:-1]
        if (same & (self.on[1:] != self.on[:-1])).any():
            raise ValueError("a block has two arms")

    def settled(self, washout: int) -> Periods:
        """Leave out the first periods of each block, in which the arm before still works.

        They are left out whether or not the arm changed: which periods count must not depend on the
        lot.

        Parameters
        ----------
        washout : int
            How many periods.

        Returns
        -------
        Periods
        """
        kept = (self.age >= washout) & (self.weight > 0.0)
        return Periods(
            self.value[kept],
            self.on[kept],
            self.block[kept],
            self.age[kept],
            self.weight[kept],
            self.season[kept],
        )

    @property
    def blocks(self) -> tuple[Integers, Bools]:
        """Each period's place among the blocks, and which blocks are on."""
        _, first, place = np.unique(self.block, return_index=True, return_inverse=True)
        return place.astype(np.int64), self.on[first]


def hourly_season(hour: Integers, weekday: Integers) -> Floats:
    """Make columns of what is usual at an hour of the day and on a day of the week.

    Parameters
    ----------
    hour, weekday : (n,) int array
        Local; both added up, not each hour of each weekday, so that a few weeks suffice.

    Returns
    -------
    (n, q) float array
        An intercept, and a column for each other hour and weekday that occurs.

    Examples
    --------
    >>> hourly_season(np.array([0, 1, 0]), np.array([2, 2, 3])).tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    columns = [np.ones(hour.shape[0])]
    for part in (hour, weekday):
        columns.extend((part == one).astype(np.float64) for one in np.unique(part)[1:])
    return np.column_stack(columns)
