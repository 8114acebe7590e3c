r"""Any number of looks, at any time, whatever was seen before: asymptotic confidence sequences.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), *Time-uniform central limit theory and
asymptotic confidence sequences*, Annals of Statistics 52(6), eq. 9: with `n` units and a standard
error of :math:`\hat\sigma / \sqrt n`, the intervals

.. math:: \hat\mu \pm \hat\sigma \sqrt{\frac{2(n\rho^2 + 1)}{n^2\rho^2}
          \log\Big(\frac{\sqrt{n\rho^2 + 1}}{\alpha}\Big)}

hold together over all `n`. Solved for :math:`\alpha` at :math:`\mu = 0` it is the p-value, so that
an interval excludes 0 if and only if the p-value is at most :math:`\alpha`.

They are narrowest where :math:`u = n\rho^2` solves :math:`u = \log(u + 1) - 2\log\alpha`; at the
declared number of units, therefore.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import lambertw, log_ndtr, ndtr, ndtri, stdtr, stdtrit

Floats: TypeAlias = NDArray[np.float64]

ROUNDS = 50
"""Rounds of a contraction that halves its error at least twelve times in each."""


@dataclass(frozen=True)
class Anytime:
    """An asymptotic confidence sequence, read at one look.

    Parameters
    ----------
    clock : float or array
        How much was seen: units, or whatever information grows with.
    tuned_for : float
        Where on the clock intervals shall be narrowest.
    tuned_level : float
        At which level.
    freedom : float or array, optional
        Degrees of freedom, where so few clusters are compared that their spread is uncertain: the
        statistic is then first turned into the normal one of the same rarity.
    correlated : bool
        Whether looks may be more alike than those of a Brownian motion on the clock, as when the
        same clusters or customers are seen again. By Slepian's inequality a boundary on *one* side
        is crossed no more often then; so two of them are taken, each with half of the error. They
        differ from the two-sided one in the third digit.

    Examples
    --------
    >>> look = Anytime(20_000, tuned_for=20_000)
    >>> float(look.critical(0.95).round(3))
    3.035
    >>> float(look.p_value(look.critical(0.95)).round(6))
    0.05
    """

    clock: Floats | float
    tuned_for: float
    tuned_level: float = 0.95
    freedom: Floats | float | None = None
    correlated: bool = False
    words: ClassVar[str] = "asymptotic confidence sequence"
    assumption: ClassVar[str] = "may be read at any time and again"

    def reach(self, level: float) -> tuple[Floats, Floats]:
        """Say how many standard errors an interval reaches down and up: as many.

        Parameters
        ----------
        level : float

        Returns
        -------
        two arrays of the shape of `clock`
        """
        critical = self.critical(level)
        return critical, critical

    def critical(self, level: float) -> Floats:
        """Say how many standard errors an interval reaches to either side.

        Parameters
        ----------
        level : float

        Returns
        -------
        array of the shape of `clock`
        """
        u = self._scaled()
        alpha = 1.0 - level
        spread = (u + 1.0) / u
        critical = np.sqrt(spread * (np.log1p(u) - 2.0 * np.log(alpha)))
        if self.correlated:
            for _ in range(ROUNDS):
                half = log_ndtr(critical / np.sqrt(spread))
                critical = np.sqrt(spread * (np.log1p(u) - 2.0 * (np.log(alpha) + half)))
        if self.freedom is not None:
            critical = -stdtrit(self.freedom, ndtr(-critical))
        return np.asarray(critical, dtype=np.float64)

    def p_value(self, statistic: Floats | float) -> Floats:
        """Give a p-value that is at most alpha at *any* look with a chance of alpha.

        Parameters
        ----------
        statistic : float or array
            The difference in standard errors.

        Returns
        -------
        array
        """
        z = np.abs(np.asarray(statistic, dtype=np.float64))
        if self.freedom is not None:
            z = -ndtri(stdtr(self.freedom, -z))
        u = self._scaled()
        shrunk = z * np.sqrt(u / (u + 1.0))
        logarithm = 0.5 * np.log1p(u) - 0.5 * shrunk**2
        if self.correlated:
            logarithm = logarithm - log_ndtr(shrunk)
        return np.asarray(np.exp(np.minimum(logarithm, 0.0)), dtype=np.float64)

    def _scaled(self) -> Floats:
        alpha = 1.0 - self.tuned_level
        best = -float(lambertw(-(alpha**2) / np.e, -1).real) - 1.0
        return np.asarray(self.clock, dtype=np.float64) * (best / self.tuned_for)
