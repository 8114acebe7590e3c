"""A proportion of units: who bought. A mean of 0 and 1, which tells its variance as well."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

WHY = Unknown("a proportion is not between 0 and 1", "a metric of kind mean")


def fault(means: Floats) -> Bools:
    """Tell which means are no proportions.

    Examples
    --------
    >>> fault(np.array([[0.2], [1.5]]))
    array([False,  True])
    """
    share = means[..., 0]
    return np.asarray(~((share >= 0.0) & (share <= 1.0)))
