"""A ratio of two sums over units: spend an order. Units are assigned, so units are what varies."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

WHY = Unknown("nothing was counted in the denominator of an arm", "units that have some")


def value(means: Floats) -> tuple[Floats, Floats]:
    r"""Give the ratio of two means, and its gradient for the delta method.

    Deng, Knoblich and Lu (2018), *Applying the delta method in metric analytics*, KDD, eq. 4:
    the variance is that of :math:`(y - R x) / \bar x`.

    Examples
    --------
    >>> value(np.array([[6.0, 2.0]]))
    (array([3.]), array([[ 0.5, -1.5]]))
    """
    numerator, denominator = means[..., 0], means[..., 1]
    ratio = numerator / denominator
    return ratio, np.stack([1.0 / denominator, -ratio / denominator], axis=-1)


def fault(means: Floats) -> Bools:
    """Tell which denominators are nothing.

    Examples
    --------
    >>> fault(np.array([[6.0, 2.0], [0.0, 0.0]]))
    array([False,  True])
    """
    return np.asarray(~(means[..., 1] > 0.0))
