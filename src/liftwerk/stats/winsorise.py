"""Lowering what is above a declared quantile, so that a few whales don't decide.

The quantile is that of all arms together: an arm's own one would take away part of its effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]


def cap(arms: Sequence[ArrayLike], share: float) -> float:
    """Find the value at a quantile of all arms together.

    Parameters
    ----------
    arms : sequence of (n,) arrays
        A metric's values of each arm's units.
    share : float
        The quantile: 0.999 lowers the largest value of a thousand.

    Returns
    -------
    float
        The smallest value that this share of all units does not exceed.

    Examples
    --------
    >>> cap([[1.0, 2.0], [3.0, 400.0]], 0.75)
    3.0
    """
    values = np.sort(np.concatenate([np.asarray(arm, dtype=np.float64) for arm in arms]))
    place = max(math.ceil(share * len(values)) - 1, 0)
    return float(values[place])


def note(limit: float, share: float) -> str:
    """Say in an estimate's assumptions what was done.

    Examples
    --------
    >>> note(120.0, 0.999)
    'values above 120, the 99.9% quantile of all arms, count as 120: the effect is on these'
    """
    what = f"values above {limit:g}, the {100 * share:g}% quantile of all arms, count as {limit:g}"
    return f"{what}: the effect is on these"
