"""The one place where exact whole numbers become floats, each the nearest to the exact quotient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.features.kinds.aggregate import Ratio

Whole: TypeAlias = NDArray[Any]
"""Whole numbers: int64 where they fit with room to spare, else Python's own."""

_EXACT = 2**53
"""Below this every whole number is a float."""


def whole_numbers(column: pa.ChunkedArray) -> Whole:
    """Return exact whole numbers as an array that can be reckoned with.

    Parameters
    ----------
    column : pyarrow.ChunkedArray or pyarrow.Array of integers, or of decimals without fraction
        Nulls become 0.

    Returns
    -------
    numpy.ndarray of int64, or of object (Python integers) where a number is beyond 2**53
        The same numbers.

    Examples
    --------
    >>> whole_numbers(pa.array([2999, None]))
    array([2999,    0])
    """
    bounds = pc.min_max(column).as_py()
    if bounds["min"] is None:
        return np.zeros(len(column), np.int64)
    if max(abs(int(bounds["min"])), abs(int(bounds["max"]))) < _EXACT:
        small = pc.fill_null(pc.cast(column, pa.int64()), 0)
        numbers: Whole = small.to_numpy(zero_copy_only=False)
        return numbers
    return np.array([int(number or 0) for number in column.to_pylist()], dtype=object)


def largest(numbers: Whole) -> int:
    """Return the largest absolute value; 0 of none.

    Examples
    --------
    >>> largest(np.array([2, -7]))
    7
    """
    if numbers.size == 0:
        return 0
    return max(abs(int(numbers.min())), abs(int(numbers.max())))


def times(numbers: Whole, factor: int) -> Whole:
    """Multiply whole numbers, exactly.

    Examples
    --------
    >>> times(np.array([3, 2**40]), 10**9)
    array([3000000000, 1099511627776000000000], dtype=object)
    """
    if numbers.dtype != object and largest(numbers) * factor >= _EXACT:
        numbers = numbers.astype(object)
    return np.asarray(numbers * factor)


def nearest(numerators: Whole, divisor: int | Whole) -> NDArray[np.float64]:
    """Divide whole numbers into the nearest floats.

    Parameters
    ----------
    numerators : numpy.ndarray of int64 or of Python integers
        Exact.
    divisor : int, or numpy.ndarray of int64 or of Python integers
        Exact, above 0.

    Returns
    -------
    numpy.ndarray of float64
        The quotients, each rounded once.

    Examples
    --------
    >>> nearest(np.array([2999, 2**60 + 1], dtype=object), 100)
    array([2.9990000e+01, 1.1529215e+16])
    """
    divisors = np.asarray(divisor)
    if numerators.dtype != object and max(largest(divisors), largest(numerators)) < _EXACT:
        # Both are floats without rounding, so that one division rounds once.
        return np.asarray(numerators / divisors, dtype=np.float64)
    # Python divides its integers into the nearest float, however large they are.
    pairs = zip(numerators, np.broadcast_to(divisors, numerators.shape), strict=True)
    return np.array([int(number) / int(by) for number, by in pairs], dtype=np.float64)


def value_of(
    ratio: Ratio, states: Mapping[str, int | None], as_of: int, empty: float | None
) -> float | None:
    """Make one value of the exact states of one entity.

    Parameters
    ----------
    ratio : Ratio
        How.
    states : mapping of str to int or None
        Its states; None where there is nothing.
    as_of : int
        Microseconds since 1970.
    empty : float or None
        The value of nothing.

    Returns
    -------
    float or None
        The nearest float.

    Examples
    --------
    >>> value_of(Ratio("sum", 10, denominator="n"), {"sum": 15, "n": 3}, 0, None)
    0.5
    """
    above = states[ratio.numerator]
    below: int | None = 1
    if ratio.denominator is not None:
        below = (states[ratio.denominator] or 0) + ratio.below
        above = (above or 0) + ratio.plus
    if above is None or not below:
        return empty
    if ratio.since:
        above = as_of - above
    return above / (below * ratio.divisor)


def values_of(
    ratio: Ratio,
    states: Mapping[str, pa.ChunkedArray],
    as_of: NDArray[np.int64],
    empty: float | None,
) -> pa.Array:
    """Make the values of many entities, each as `value_of` would.

    Parameters
    ----------
    ratio : Ratio
    states : mapping of str to pyarrow.ChunkedArray of integers, or of decimals without fraction
    as_of : int64 of shape (n,)
    empty : float or None

    Returns
    -------
    pyarrow.Array of float64
    """
    column = states[ratio.numerator]
    above = whole_numbers(column)
    unknown = pc.is_null(column).to_numpy(zero_copy_only=False)
    if ratio.since:
        above = as_of - above
    if ratio.denominator is None:
        floats = nearest(above, ratio.divisor)
    else:
        below = whole_numbers(states[ratio.denominator]) + ratio.below
        unknown = below == 0
        floats = nearest(above + ratio.plus, times(np.where(unknown, 1, below), ratio.divisor))
    if empty is None:
        return pa.array(floats, mask=unknown)
    return pa.array(np.where(unknown, empty, floats))
