"""Moments of pairs of arms in arrays: one pair, or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.moments import Moments

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arms:
    """Moments of m times two arms: what `Moments` holds, with control and treated side by side.

    Attributes
    ----------
    n : (m, 2) float array
    means : (m, 2, k) float array
    products : (m, 2, k, k) float array
    cubes : (m, 2, k) float array, optional
    """

    n: Floats
    means: Floats
    products: Floats
    cubes: Floats | None = None

    @classmethod
    def of(cls, pairs: Sequence[Sequence[Moments]]) -> Arms:
        """Put pairs of arms into arrays.

        Parameters
        ----------
        pairs : sequence of m (control, treated)

        Returns
        -------
        Arms

        Examples
        --------
        >>> one = Moments.of([[1.0, 3.0]])
        >>> Arms.of([(one, one)]).means.shape
        (1, 2, 1)
        """
        cubes = [[arm.cubes for arm in both if arm.cubes is not None] for both in pairs]
        return cls(
            np.array([[arm.n for arm in both] for both in pairs], dtype=np.float64),
            np.array([[arm.means for arm in both] for both in pairs]),
            np.array([[arm.products for arm in both] for both in pairs]),
            np.array(cubes) if all(len(both) == 2 for both in cubes) else None,
        )
