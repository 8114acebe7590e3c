"""A feature's values as few categories: what arms are compared within, and broken down by."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from liftwerk.models.design import Column, Design

Ints: TypeAlias = NDArray[np.int64]

FEW = 6
"""A number with no more values than this has a category for each."""

UNKNOWN = "unknown"
"""What a category is called where nothing was known."""


def categories(column: pa.ChunkedArray) -> tuple[tuple[str, ...], Ints]:
    """Part a feature's values into few categories: its own, or quarters of a number's range.

    Parameters
    ----------
    column : pyarrow.ChunkedArray

    Returns
    -------
    tuple of (str, ...) and (n,) int array
        Their names, and which one each row has.

    Examples
    --------
    >>> categories(pa.chunked_array([["b", "a", None]]))
    (('a', 'b', 'unknown'), array([1, 0, 2]))
    """
    design = Design.from_table(pa.table({"of": column}))
    (found,) = design.columns
    if found.levels is None:
        return _ranges(found)
    names = (*found.levels, UNKNOWN)
    codes = np.where(found.values < 0, len(found.levels), found.values).astype(np.int64)
    return _seen(names, codes)


def _ranges(column: Column) -> tuple[tuple[str, ...], Ints]:
    values = np.asarray(column.values, dtype=np.float64)
    there = values[~np.isnan(values)]
    distinct = np.unique(there)
    names: tuple[str, ...]
    if column.binary:
        names, codes = ("no", "yes"), np.nan_to_num(values).astype(np.int64)
    elif len(distinct) <= FEW:
        names = tuple(f"{value:g}" for value in distinct)
        codes = np.searchsorted(distinct, np.nan_to_num(values, nan=distinct[:1].sum()))
    else:
        edges = np.unique(np.quantile(there, [0.25, 0.5, 0.75]))
        names = (
            f"up to {edges[0]:g}",
            *(f"{low:g} to {high:g}" for low, high in pairwise(edges)),
            f"above {edges[-1]:g}",
        )
        codes = np.searchsorted(edges, np.nan_to_num(values), side="left")
    codes = np.where(np.isnan(values), len(names), codes).astype(np.int64)
    return _seen((*names, UNKNOWN), codes)


def _seen(names: tuple[str, ...], codes: Ints) -> tuple[tuple[str, ...], Ints]:
    """Keep the categories that occur."""
    present, places = np.unique(codes, return_inverse=True)
    return tuple(names[code] for code in present), np.asarray(places, dtype=np.int64)
