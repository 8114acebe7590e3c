"""The moments of a ready table: one row a unit, one column what is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liftwerk.errors import InputError
from liftwerk.metrics.reckon import dictionary
from liftwerk.stats.moments import Moments

ROWS = 1 << 16
"""Rows that are in memory as floats at one time."""


def moments_of_file(path: Path, arm: str, columns: Sequence[str]) -> dict[str, Moments]:
    """Read the moments of each arm out of a Parquet file, part by part.

    Parameters
    ----------
    path : path-like
        A Parquet file.
    arm : str
        The column that says each row's arm.
    columns : sequence of str
        Columns of numbers, none missing.

    Returns
    -------
    dict of str to Moments
        Arm -> moments of the columns, in their order.

    Raises
    ------
    InputError
        If a column is not there, or is not a number in every row.
    """
    file = pq.ParquetFile(path)
    missing = [name for name in (arm, *columns) if name not in file.schema_arrow.names]
    if missing:
        raise InputError(f"no column {missing[0]!r}", str(path), "name the file's columns")
    found: dict[str, Moments] = {}
    for batch in file.iter_batches(ROWS, columns=[arm, *columns]):
        for name, moments in _by_arm(batch, arm, columns, path):
            found[name] = found.get(name, Moments.none(len(columns))) + moments
    return dict(sorted(found.items()))


def _by_arm(
    batch: pa.RecordBatch, arm: str, columns: Sequence[str], path: Path
) -> Iterator[tuple[str, Moments]]:
    named = dictionary(pa.chunked_array([batch.column(arm)]))
    numbers = np.empty((len(columns), batch.num_rows))
    for place, name in enumerate(columns):
        column = batch.column(name)
        if column.null_count or not pa.types.is_primitive(column.type):
            what = f"{name!r} is not a number in every row"
            raise InputError(what, str(path), "write 0 where nothing happened")
        numbers[place] = column.to_numpy(zero_copy_only=False)
    places = named.indices.to_numpy()
    for place, name in enumerate(named.dictionary.to_pylist()):
        yield str(name), Moments.of(numbers[:, places == place])
