"""How values were spread, as a dozen counts: what later values are compared with.

A sketch of numbers has the deciles of the reference as the ends of its cells, and a cell below and
one above all that was seen. One of texts has a cell for each of the most frequent, and one for all
others: what fewer than ten values say is not written down.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

CELLS = 10
"""Cells of a sketch of numbers, beside those below and above."""

MOST = 50
"""Texts that have a cell of their own."""

FEWEST = 10
"""Values that say the same so that it is written down."""


class Sketch(Struct, frozen=True):
    """Counts in cells.

    Attributes
    ----------
    ends : tuple of float
        Of numbers: a cell ends with each of these, included; one more is behind the last.
    texts : tuple of str
        Of texts: a cell is for each of these; one more is for all others.
    counts : tuple of int
        How many values were in each cell.
    missing : int
        How many were missing.
    """

    ends: tuple[float, ...]
    texts: tuple[str, ...]
    counts: tuple[int, ...]
    missing: int

    def counting(self, value: Any) -> list[Any]:
        """Write how many values are in each cell, as Ibis aggregates of a column."""
        if self.texts:
            own = [(value == text).sum() for text in self.texts]
            return [*own, value.notin(self.texts).sum()]
        bounds = [None, *self.ends, None]
        cells = []
        for low, high in pairwise(bounds):
            inside = value.notnull() & ~value.isnan()
            if low is not None:
                inside &= value > low
            if high is not None:
                inside &= value <= high
            cells.append(inside.sum())
        return cells


def sketch(values: pa.Array | pa.ChunkedArray) -> Sketch | None:
    """Sketch how values are spread.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray
        Numbers, texts or booleans.

    Returns
    -------
    Sketch or None
        None where no value is known.

    Examples
    --------
    >>> found = sketch(pa.array([1.0, 2.0, 2.0, 3.0, None]))
    >>> found.ends[1:], found.counts, found.missing
    ((1.0, 2.0, 3.0), (0, 1, 2, 1, 0), 1)
    >>> sketch(pa.array(["app"] * 30 + ["web"] * 10 + ["fax"])).counts
    (30, 10, 1)
    """
    known = pc.drop_null(values)
    missing = len(values) - len(known)
    if pa.types.is_boolean(known.type):
        known = pc.cast(known, pa.string())
    if pa.types.is_string(known.type):
        return _of_texts(known, missing)
    numbers = pc.cast(known, pa.float64(), safe=False).to_numpy()
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return None
    places = np.linspace(0, 1, CELLS + 1)
    # An observed value, not one between two: then ties are on one side, as they are in a scan.
    ends = np.unique(np.quantile(numbers, places, method="inverted_cdf"))
    ends = np.concatenate([[np.nextafter(ends[0], -np.inf)], ends])
    cells = np.searchsorted(ends, numbers, side="left")
    counts = np.bincount(cells, minlength=len(ends) + 1)
    return Sketch(tuple(ends.tolist()), (), tuple(counts.tolist()), missing)


def _of_texts(known: Any, missing: int) -> Sketch | None:
    counted = pc.value_counts(known).to_pylist()
    counted = [one for one in counted if one["counts"] >= FEWEST]
    counted.sort(key=lambda one: (-one["counts"], one["values"]))
    if not counted:
        return None
    own = counted[:MOST]
    counts = [one["counts"] for one in own]
    texts = tuple(one["values"] for one in own)
    return Sketch((), texts, (*counts, len(known) - sum(counts)), missing)
