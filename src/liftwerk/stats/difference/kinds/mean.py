"""A mean over units: spend a customer."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

WHY = Unknown("the mean of an arm is no number", "values that are finite")


def value(means: Floats) -> tuple[Floats, Floats]:
    """Give the mean itself.

    Examples
    --------
    >>> value(np.array([[3.0]]))
    (array([3.]), array([[1.]]))
    """
    return means[..., 0], np.ones_like(means)


def fault(means: Floats) -> Bools:
    """Tell which means are no numbers.

    Examples
    --------
    >>> fault(np.array([[3.0], [np.nan]]))
    array([False,  True])
    """
    return np.asarray(~np.isfinite(means[..., 0]))
