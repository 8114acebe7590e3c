"""One look, at a time that was fixed before: the t distribution, corrected for skewness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from liftwerk.stats.interval import hall_quantile, hall_transform

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Fixed:
    """Student's t with the degrees of freedom of Welch (1947, Biometrika 34).

    Where a small arm is compared with a large one and outcomes are skewed, so is the difference,
    and the plain interval misses on one side too often: the statistic is then turned into a normal
    one first (Hall, 1992; see `stats.interval`). Arms of equal size give no skewness.

    Parameters
    ----------
    freedom : float or array
        Degrees of freedom.
    skewness : float or array
        Of the difference.

    Examples
    --------
    >>> looked_once = Fixed(10.0)
    >>> [float(each.round(4)) for each in looked_once.reach(0.95)]
    [2.2281, 2.2281]
    >>> float(looked_once.p_value(2.2281388).round(4))
    0.05
    >>> [float(each.round(4)) for each in Fixed(10.0, 0.2).reach(0.95)]
    [1.9346, 2.7273]
    """

    freedom: Floats | float
    skewness: Floats | float = 0.0
    words: ClassVar[str] = "Welch's t, one look"
    assumption: ClassVar[str] = "read once, at the time that was fixed before"

    def reach(self, level: float) -> tuple[Floats, Floats]:
        """Say how many standard errors an interval reaches down and up.

        Parameters
        ----------
        level : float

        Returns
        -------
        two arrays of the shape of `freedom`
        """
        critical = np.asarray(-stdtrit(self.freedom, 0.5 - 0.5 * level), dtype=np.float64)
        down, up = (hall_quantile(each, self.skewness) for each in (critical, -critical))
        return down, -up

    def p_value(self, statistic: Floats | float) -> Floats:
        """Say how often chance alone gives a difference of so many standard errors or more.

        Parameters
        ----------
        statistic : float or array

        Returns
        -------
        array
        """
        turned = hall_transform(np.asarray(statistic, dtype=np.float64), self.skewness)
        return np.asarray(2.0 * stdtr(self.freedom, -np.abs(turned)), dtype=np.float64)
