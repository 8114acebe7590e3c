"""What of two arms is compared: one kind of metric a file.

Each says how many columns of `Moments` it is made of (covariates come after them), and gives the
value of an arm with its gradient in these columns' means; everything else is the same for all.
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
        Means of the columns -> the arm's value and its gradient, or why there is none.
    """

    key: str
    columns: int
    freedom: int
    value: Callable[[Floats], tuple[float, Floats] | Unknown]


KINDS: Mapping[str, Kind] = {
    "mean": Kind("mean", 1, 1, mean.value),
    "proportion": Kind("proportion", 1, 0, proportion.value),
    "ratio": Kind("ratio", 2, 1, ratio.value),
}
"""One kind of metric a file, under its name in definitions."""
