"""One look, at a time that was fixed before: the t distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Fixed:
    """Student's t with the degrees of freedom of Welch (1947, Biometrika 34).

    Parameters
    ----------
    freedom : float or array
        Degrees of freedom.

    Examples
    --------
    >>> looked_once = Fixed(10.0)
    >>> float(looked_once.critical(0.95).round(4))
    2.2281
    >>> float(looked_once.p_value(2.2281388).round(4))
    0.05
    """

    freedom: Floats | float
    words: ClassVar[str] = "Welch's t, one look"
    assumption: ClassVar[str] = "read once, at the time that was fixed before"

    def critical(self, level: float) -> Floats:
        """Say how many standard errors an interval reaches to either side.

        Parameters
        ----------
        level : float

        Returns
        -------
        array of the shape of `freedom`
        """
        return np.asarray(-stdtrit(self.freedom, 0.5 - 0.5 * level), dtype=np.float64)

    def p_value(self, statistic: Floats | float) -> Floats:
        """Say how often chance alone gives a difference of so many standard errors or more.

        Parameters
        ----------
        statistic : float or array

        Returns
        -------
        array
        """
        return np.asarray(2.0 * stdtr(self.freedom, -np.abs(statistic)), dtype=np.float64)
