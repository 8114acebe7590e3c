"""What a difference of arms has to know of their units: how many, means, and centred products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of some columns over the units of one arm; those of disjoint units add up.

    Parameters
    ----------
    n : int
        Units.
    means : (k,) float array
    products : (k, k) float array
        Sums over units of the products of two columns, each less its mean.
    cubes : (k,) float array, optional
        Sums over units of the third power of a column less its mean. A mean of numbers that are
        not 0 or 1 takes them: only from them it is seen whether the tail allows an interval.

    Examples
    --------
    >>> Moments.of([[0.0, 1.0]]) + Moments.of([[5.0, 6.0]])
    Moments(n=4, means=array([3.]), products=array([[26.]]), cubes=array([0.]))
    """

    n: int
    means: Floats
    products: Floats
    cubes: Floats | None = None

    def __post_init__(self) -> None:
        k = self.means.shape[0]
        if self.products.shape != (k, k):
            raise ValueError(f"{k} means go with ({k}, {k}) products, not {self.products.shape}")
        if self.cubes is not None and self.cubes.shape != (k,):
            raise ValueError(f"{k} means go with {k} cubes, not {self.cubes.shape}")

    @classmethod
    def of(cls, columns: ArrayLike | Sequence[ArrayLike]) -> Moments:
        """Take the moments of arrays.

        Parameters
        ----------
        columns : k sequences of n numbers

        Returns
        -------
        Moments

        Examples
        --------
        >>> Moments.of([[1.0, 3.0], [0.0, 2.0]]).products
        array([[2., 2.],
               [2., 2.]])
        """
        rows = np.atleast_2d(np.asarray(columns, dtype=np.float64))
        n = rows.shape[1]
        if n == 0:
            return cls.none(rows.shape[0])
        means = rows.mean(axis=1)
        centred = rows - means[:, None]
        cubes = (centred * centred * centred).sum(axis=1)
        return cls(n, means, centred @ centred.T, cubes)

    @classmethod
    def none(cls, k: int) -> Moments:
        """Give the moments of no unit, to which others are added.

        Examples
        --------
        >>> (Moments.none(1) + Moments.of([[1.0, 2.0]])).means
        array([1.5])
        """
        return cls(0, np.zeros(k), np.zeros((k, k)), np.zeros(k))

    @classmethod
    def from_sums(
        cls,
        n: int,
        sums: Sequence[int | float],
        cross: Sequence[Sequence[int | float]],
        cubes: Sequence[int | float] | None = None,
    ) -> Moments:
        """Make moments of what SQL sums up.

        Whole numbers are centred without rounding, however large they are; of floats whose mean is
        large beside their spread digits are lost, so subtract a constant from these before.

        Parameters
        ----------
        n : int
        sums : k numbers
            Sum of each column.
        cross : k times k numbers
            Sums of the products of two columns; what is below the diagonal is not read.
        cubes : k numbers, optional
            Sum of the third powers of each column.

        Returns
        -------
        Moments

        Examples
        --------
        >>> Moments.from_sums(2, [4, 2], [[10, 6], [6, 4]], [28, 8]).products
        array([[2., 2.],
               [2., 2.]])
        """
        k = len(sums)
        if n == 0:
            return cls.none(k)
        means = np.array([total / n for total in sums], dtype=np.float64)
        products = np.empty((k, k))
        for i in range(k):
            for j in range(i, k):
                products[i, j] = products[j, i] = (n * cross[i][j] - sums[i] * sums[j]) / n
        if cubes is None:
            return cls(n, means, products)
        third = [
            (n * n * cubes[i] - 3 * n * sums[i] * cross[i][i] + 2 * sums[i] ** 3) / (n * n)
            for i in range(k)
        ]
        return cls(n, means, products, np.array(third, dtype=np.float64))

    def take(self, columns: Sequence[int]) -> Moments:
        """Keep some columns, in this order.

        Parameters
        ----------
        columns : sequence of int

        Returns
        -------
        Moments

        Examples
        --------
        >>> Moments.of([[1.0, 3.0], [0.0, 4.0]]).take([1]).means
        array([2.])
        """
        kept = np.asarray(columns, dtype=np.int64)
        cubes = None if self.cubes is None else self.cubes[kept]
        return Moments(self.n, self.means[kept], self.products[np.ix_(kept, kept)], cubes)

    def __add__(self, other: Moments) -> Moments:
        r"""Join the moments of other units.

        Chan, Golub and LeVeque (1983), *Algorithms for computing the sample variance*, American
        Statistician 37(3), and for the cubes Pébay (2008), SAND2008-6212, eq. 2.2: with
        :math:`\delta` the difference of means,

        .. math:: M_2 = M_2' + M_2'' + \delta\delta^T n'n''/n, \quad
                  M_3 = M_3' + M_3'' + \delta^3 n'n''(n' - n'')/n^2
                        + 3\delta (n' M_2'' - n'' M_2') / n .
        """
        n = self.n + other.n
        if n == 0:
            return self
        delta = other.means - self.means
        means = self.means + delta * (other.n / n)
        between = np.outer(delta, delta) * (self.n * other.n / n)
        products = self.products + other.products + between
        if self.cubes is None or other.cubes is None:
            return Moments(n, means, products)
        apart = delta**3 * (self.n * other.n * (self.n - other.n) / n**2)
        turned = self.n * np.diag(other.products) - other.n * np.diag(self.products)
        cubes = self.cubes + other.cubes + apart + 3.0 * delta * turned / n
        return Moments(n, means, products, cubes)
