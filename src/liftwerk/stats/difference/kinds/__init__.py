"""What of two arms is compared: one kind of metric a file.

Each says how many columns of `Moments` it is made of (covariates come after them), gives the value
of an arm with its gradient in these columns' means, and says which means have no value; everything
else is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.difference.kinds import mean, proportion, ratio
from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Kind:
    """A kind of metric.

    Attributes
    ----------
    key : str
    columns : int
        Columns of `Moments` that it is made of.
    freedom : int
        What is taken from n in a variance: 1, or 0 where the mean tells the variance.
    value : callable
        Means (..., columns) -> values (...) and gradients (..., columns).
    fault : callable
        Means (..., columns) -> which of them have no value (...).
    why : Unknown
        Why these have none.
    """

    key: str
    columns: int
    freedom: int
    value: Callable[[Floats], tuple[Floats, Floats]]
    fault: Callable[[Floats], Bools]
    why: Unknown


KINDS: Mapping[str, Kind] = {
    "mean": Kind("mean", 1, 1, mean.value, mean.fault, mean.WHY),
    "proportion": Kind("proportion", 1, 0, mean.value, proportion.fault, proportion.WHY),
    "ratio": Kind("ratio", 2, 1, ratio.value, ratio.fault, ratio.WHY),
}
"""One kind of metric a file, under its name in definitions."""
