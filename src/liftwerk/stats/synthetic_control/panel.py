"""What every estimator of a geo test reads: one treated series, its donors, and when it began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """Outcomes by period of the treated markets and of those that nothing was done in.

    Parameters
    ----------
    treated : (periods, units) float array
        A column a treated market. Estimators read their mean.
    donors : (periods, donors) float array
        A column a market that may stand in for them.
    before : int
        Periods before the test; the test runs from this row to the last.

    Raises
    ------
    ValueError
        If the shapes don't fit or a number is not finite.

    Examples
    --------
    >>> panel = Panel(np.ones((5, 1)), np.ones((5, 3)), before=4)
    >>> panel.periods, panel.during, panel.mean.shape
    (5, 1, (5,))
    """

    treated: Floats
    donors: Floats
    before: int

    def __post_init__(self) -> None:
        if self.treated.ndim != 2 or self.donors.ndim != 2:
            raise ValueError("a panel holds two tables, periods by markets")
        if self.treated.shape[0] != self.donors.shape[0]:
            raise ValueError("treated and donors are not of the same periods")
        if min(self.treated.shape[1], self.donors.shape[1]) == 0:
            raise ValueError("a panel needs a treated market and a donor")
        if not 2 <= self.before < self.treated.shape[0]:
            raise ValueError("a panel needs two periods before the test, and one in it")
        finite = np.isfinite(self.treated).all() and np.isfinite(self.donors).all()
        if not finite:
            raise ValueError("a panel holds finite numbers")

    @property
    def periods(self) -> int:
        """Periods in all."""
        return int(self.treated.shape[0])

    @property
    def during(self) -> int:
        """Periods of the test."""
        return self.periods - self.before

    @property
    def units(self) -> int:
        """Treated markets."""
        return int(self.treated.shape[1])

    @property
    def mean(self) -> Floats:
        """The treated markets' mean outcome by period, (periods,)."""
        return np.asarray(self.treated.mean(axis=1), dtype=np.float64)

    def history(self) -> tuple[Floats, Floats]:
        """Give the periods before the test: the treated markets' mean, and the donors."""
        return self.mean[: self.before], self.donors[: self.before]
