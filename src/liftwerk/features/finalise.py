"""The one place where exact whole numbers become floats, each the nearest to the exact quotient."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

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


def nearest(numerators: Whole, divisor: int) -> NDArray[np.float64]:
    """Divide whole numbers into the nearest floats.

    Parameters
    ----------
    numerators : numpy.ndarray of int64 or of Python integers
        Exact.
    divisor : int
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
    if numerators.dtype != object and max(divisor, largest(numerators)) < _EXACT:
        # Both are floats without rounding, so that one division rounds once.
        return np.asarray(numerators / divisor, dtype=np.float64)
    # Python divides its integers into the nearest float, however large they are.
    return np.array([int(number) / divisor for number in numerators], dtype=np.float64)


def divide(column: pa.ChunkedArray, divisor: int, empty: float | None = None) -> pa.Array:
    """Divide a column of whole numbers into the nearest floats.

    Parameters
    ----------
    column : pyarrow.ChunkedArray or pyarrow.Array of integers, or of decimals without fraction
        Exact numerators.
    divisor : int
        The exact denominator.
    empty : float or None
        The value of a null; None keeps it.

    Returns
    -------
    pyarrow.Array of float64
        The quotients.

    Examples
    --------
    >>> divide(pa.array([2999, None]), 100).to_pylist()
    [29.99, None]
    """
    floats = nearest(whole_numbers(column), divisor)
    unknown = pc.is_null(column).to_numpy(zero_copy_only=False)
    if empty is None:
        return pa.array(floats, mask=unknown)
    return pa.array(np.where(unknown, empty, floats))
