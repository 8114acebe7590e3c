"""Many p-values at once: for a family of claims (Holm) and for a list to look through (BH).

Both take p-values at face value, so that anytime-valid ones stay anytime-valid: at whatever look
somebody stops, Holm's family makes a wrong claim with a chance of alpha at most.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]


def holm(p_values: ArrayLike) -> Floats:
    """Adjust p-values so that any wrong claim in the family has a chance of alpha at most.

    Holm (1979), *A simple sequentially rejective multiple test procedure*, Scandinavian Journal
    of Statistics 6(2).

    Parameters
    ----------
    p_values : (m,) numbers
        One for each claim; 1 where nothing can be said yet.

    Returns
    -------
    (m,) float array

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def holm_levels(p_values: ArrayLike, level: float = 0.95) -> Floats:
    r"""Say at which level each interval has to be read so that it says what Holm says.

    A claim that Holm rejects in step i is read at :math:`1 - \alpha / (m - i + 1)`, and all that
    are not rejected at the level of the step that stopped. Then an interval excludes 0 if and
    only if the adjusted p-value is at most :math:`\alpha`, and each covers at least at `level`.

    Parameters
    ----------
    p_values : (m,) numbers
        Unadjusted.
    level : float

    Returns
    -------
    (m,) float array

    Examples
    --------
    >>> holm_levels([0.01, 0.04, 0.03]).round(4)
    array([0.9833, 0.975 , 0.975 ])
    """
    p = np.asarray(p_values, dtype=np.float64)
    alpha = 1.0 - level
    order = np.argsort(p, kind="stable")
    steps = alpha / np.arange(len(p), 0, -1)
    kept = np.flatnonzero(p[order] > steps)
    if len(kept):
        steps[kept[0] :] = steps[kept[0]]
    levels = np.empty(len(p))
    levels[order] = 1.0 - steps
    return levels


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjust p-values so that of what is pointed out at most a share of alpha is chance.

    Benjamini and Hochberg (1995), *Controlling the false discovery rate*, JRSS B 57(1), for
    p-values that are independent or positively dependent.

    Parameters
    ----------
    p_values : (m,) numbers

    Returns
    -------
    (m,) float array

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    array([0.03, 0.04, 0.04])
    """
    p = np.asarray(p_values, dtype=np.float64)
    m = len(p)
    order = np.argsort(-p, kind="stable")
    steps = p[order] * (m / np.arange(m, 0, -1))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return adjusted
