"""A proportion of units: who bought. The column holds 0 and 1, so its mean tells its variance."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]


def value(means: Floats) -> tuple[float, Floats] | Unknown:
    """Give the proportion itself.

    Examples
    --------
    >>> value(np.array([0.02]))
    (0.02, array([1.]))
    """
    proportion = float(means[0])
    if 0.0 <= proportion <= 1.0:
        return proportion, np.ones(1)
    return Unknown(f"{proportion:.6g} is no proportion", "a metric of kind mean")
