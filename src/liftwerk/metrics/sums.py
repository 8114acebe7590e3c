"""Exact sums over units: how many, sums, sums of products and of third powers, as whole numbers.

They add up, and are taken off again without a trace, so that what is kept day by day is what a
fresh count gives. Floats do the work: numbers are cut into limbs of 20 bits, and a product of two
limbs, added up over 4096 rows, is at most 2**52, where floats are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from liftwerk.features.finalise import Whole, largest
from liftwerk.stats.moments import Moments

LIMB = 20
ROWS = 4096
BLOCKS = 64
"""Blocks of `ROWS` rows that are in memory as limbs at one time."""

_BASE = 1 << LIMB
_Floats: TypeAlias = NDArray[np.float64]


class Sums(Struct, frozen=True):
    """Sums over some units.

    Attributes
    ----------
    n : int
        Units.
    sums, cubes : tuple of int
        Of each column, and of its third power.
    cross : tuple of tuple of int
        Of the products of two columns.
    """

    n: int
    sums: tuple[int, ...]
    cross: tuple[tuple[int, ...], ...]
    cubes: tuple[int, ...]

    @classmethod
    def none(cls, k: int) -> Sums:
        """Give the sums of no unit."""
        return cls(0, (0,) * k, ((0,) * k,) * k, (0,) * k)

    @classmethod
    def of(cls, columns: Sequence[Whole]) -> Sums:
        """Add up columns of whole numbers, exactly.

        Parameters
        ----------
        columns : sequence of numpy.ndarray of int64 or of Python integers, (n,) each

        Examples
        --------
        >>> Sums.of([np.array([2, 3]), np.array([10**12, -1])])
        Sums(n=2, sums=(5, 999999999999), cross=((13, 1999999999997), \
(1999999999997, 1000000000000000000000001)), cubes=(35, 999999999999999999999999999999999999))
        """
        k, n = len(columns), len(columns[0])
        total = cls.none(k)
        step = ROWS * BLOCKS
        for start in range(0, n, step):
            total = total.plus(_added_up([one[start : start + step] for one in columns]))
        return total

    def plus(self, other: Sums, times: int = 1) -> Sums:
        """Add those of other units, or take them off with ``times = -1``.

        Examples
        --------
        >>> some = Sums.of([np.array([2, 3])])
        >>> some.plus(some, -1) == Sums.none(1)
        True
        """
        return Sums(
            self.n + times * other.n,
            _each(self.sums, other.sums, times),
            tuple(_each(a, b, times) for a, b in zip(self.cross, other.cross, strict=True)),
            _each(self.cubes, other.cubes, times),
        )

    def moments(self, units: Sequence[int]) -> Moments:
        """Return the moments of the columns, each divided by its unit.

        Parameters
        ----------
        units : sequence of int
            How many of a column's whole numbers are 1.
        """
        whole = Moments.from_sums(self.n, self.sums, self.cross, self.cubes)
        unit = np.array([float(one) for one in units])
        assert whole.cubes is not None  # made of cubes
        products = whole.products / np.outer(unit, unit)
        return Moments(whole.n, whole.means / unit, products, whole.cubes / unit**3)


def _each(one: Sequence[int], other: Sequence[int], times: int) -> tuple[int, ...]:
    return tuple(a + times * b for a, b in zip(one, other, strict=True))


def _added_up(columns: Sequence[Whole]) -> Sums:
    n = len(columns[0])
    # Who did nothing adds nothing, and most did nothing.
    busy = np.zeros(n, np.bool_)
    for column in columns:
        busy |= column != 0
    scales, limbs, owners = [], [], []
    for place, column in enumerate(columns):
        kept = column[busy]
        scale = _common(kept)
        scales.append(scale)
        for power, limb in enumerate(_limbs(kept // scale)):
            limbs.append(limb)
            owners.append((place, 1 << (LIMB * power)))
    k = len(columns)
    if not limbs:
        return Sums.none(k).plus(Sums(n, *_nothing(k)))
    blocks = -(-len(limbs[0]) // ROWS)
    stacked = np.zeros((blocks * ROWS, len(limbs) + 1))
    stacked[: len(limbs[0]), :-1] = np.stack(limbs, axis=1)
    stacked[:, -1] = 1.0
    parts = stacked.reshape(blocks, ROWS, len(limbs) + 1)
    # Each block's products are exact floats; as whole numbers they may be added up.
    products = np.matmul(parts.transpose(0, 2, 1), parts).astype(np.int64).sum(axis=0).tolist()
    sums, cubes = [0] * k, [0] * k
    cross = [[0] * k for _ in range(k)]
    for a, (i, one) in enumerate(owners):
        sums[i] += one * scales[i] * products[a][-1]
        for b, (j, other) in enumerate(owners):
            cross[i][j] += one * other * scales[i] * scales[j] * products[a][b]
    for i in range(k):
        own = [(parts[:, :, a], power) for a, (owner, power) in enumerate(owners) if owner == i]
        cubes[i] = scales[i] ** 3 * _cubed(own)
    return Sums(n, tuple(sums), tuple(map(tuple, cross)), tuple(cubes))


def _nothing(k: int) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...], tuple[int, ...]]:
    none = Sums.none(k)
    return none.sums, none.cross, none.cubes


def _common(column: Whole) -> int:
    """Return what all numbers are multiples of, such as millionths of a whole weight."""
    if column.dtype == object or len(column) == 0:
        return 1
    return max(int(np.gcd.reduce(column)), 1)


def _limbs(column: Whole) -> list[_Floats]:
    found: list[_Floats] = []
    if column.dtype != object and largest(column) < _BASE:
        if column.any():
            found.append(column.astype(np.float64))
        return found
    left, sign = abs(column), np.sign(column)
    while left.any():
        found.append((sign * (left % _BASE)).astype(np.float64))
        left = left // _BASE
    return found


def _cubed(own: Sequence[tuple[_Floats, int]]) -> int:
    """Add up third powers of one column's numbers."""
    total = 0
    for a, one in own:
        for b, other in own:
            product = a * b
            high = np.floor(product / _BASE)
            for part, power in ((high, _BASE), (product - high * _BASE, 1)):
                for c, third in own:
                    added = np.einsum("br,br->b", part, c).astype(np.int64)
                    total += one * other * power * third * int(added.sum())
    return total
