"""The one place where exact whole numbers become floats."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_EXACT = 2**53
"""Below this every whole number is a float."""


def divide(whole: pa.ChunkedArray, divisor: int, empty: float | None = None) -> pa.Array:
    """Divide whole numbers into the nearest floats.

    Parameters
    ----------
    whole : pyarrow.ChunkedArray or pyarrow.Array of integers, or of decimals without fraction
        Exact numerators.
    divisor : int
        The exact denominator.
    empty : float or None
        The value of a null; None keeps it.

    Returns
    -------
    pyarrow.Array of float64
        Each the float nearest to the exact quotient.

    Examples
    --------
    >>> divide(pa.array([2999, None]), 100).to_pylist()
    [29.99, None]
    """
    floats = _divide(whole, divisor)
    if empty is not None:
        floats = pc.fill_null(floats, empty)
    return floats


def _divide(whole: pa.ChunkedArray, divisor: int) -> pa.Array:
    bounds = pc.min_max(whole).as_py()
    if bounds["min"] is None:
        return pa.nulls(len(whole), pa.float64())
    largest = max(abs(int(bounds["min"])), abs(int(bounds["max"])))
    if largest < _EXACT and divisor < _EXACT:
        # Both are floats without rounding, so that one division rounds once: to the nearest.
        exact = pc.cast(whole, pa.int64()).to_numpy(zero_copy_only=False)
        known = pc.is_valid(whole).to_numpy(zero_copy_only=False)
        return pa.array(np.nan_to_num(exact) / divisor, mask=~known)
    numerators = whole.to_pylist()
    return pa.array([_nearest(number, divisor) for number in numerators], pa.float64())


def _nearest(number: int | None, divisor: int) -> float | None:
    if number is None:
        return None
    return int(number) / divisor  # Python divides whole numbers into the nearest float
