"""How many units there are by each day of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.experiments.planning.plan import HORIZON

Floats: TypeAlias = NDArray[np.float64]

RECENT = 7
"""Days of history, at least, whose mean is taken for the days beyond it."""


@dataclass(frozen=True, eq=False)
class Intake:
    """Units that could have entered by the end of each day, if all of them might.

    Attributes
    ----------
    units : (HORIZON,) float array
        Rising; the first day is the first number.
    seen : int
        Days that were seen; those beyond go on as the last ones did.
    """

    units: Floats
    seen: int

    @classmethod
    def of_days(cls, new: Floats) -> Intake:
        """Take how many were new on each day of a history.

        Parameters
        ----------
        new : (days,) array

        Examples
        --------
        >>> intake = Intake.of_days(np.array([100.0] + 13 * [10.0]))
        >>> intake.by(1), intake.by(14), intake.by(21)
        (100.0, 230.0, 300.0)
        """
        kept = np.asarray(new, dtype=np.float64)[:HORIZON]
        last = max(RECENT, len(kept) // 4)
        rate = float(kept[-last:].mean())
        more = np.full(HORIZON - len(kept), rate)
        return cls(np.concatenate([kept, more]).cumsum(), len(kept))

    @classmethod
    def steady(cls, a_day: float) -> Intake:
        """Let the same number of new units come every day.

        Examples
        --------
        >>> Intake.steady(5.0).by(10)
        50.0
        """
        return cls(a_day * np.arange(1.0, HORIZON + 1.0), HORIZON)

    def by(self, day: int) -> float:
        """Return how many there are by the end of a day, counted from 1."""
        return float(self.units[day - 1])
