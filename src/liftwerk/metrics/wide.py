"""The moments of a ready table: one row a unit, one column what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from liftwerk.errors import InputError
from liftwerk.metrics.reckon import dictionary
from liftwerk.stats.moments import Moments

ROWS = 1 << 13
"""Rows that are worked on at one time: so many lie in the processor's own memory."""

THREADS = 2
"""Parts of the file that are read at one time."""


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
    # Two parts are worked on at one time: more threads within one would wait for each other.
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(THREADS) as threads:
        parts = threads.map(
            lambda group: _of_part(path, group, arm, columns), range(file.num_row_groups)
        )
        for part in parts:
            for name, moments in part.items():
                found[name] = found.get(name, Moments.none(len(columns))) + moments
    return dict(sorted(found.items()))


def _of_part(path: Path, group: int, arm: str, columns: Sequence[str]) -> dict[str, Moments]:
    """Read the moments of one of the file's groups of rows."""
    table = pq.ParquetFile(path).read_row_group(group, columns=[arm, *columns], use_threads=False)
    for name in columns:
        column = table.column(name)
        if column.null_count or not pa.types.is_primitive(column.type):
            what = f"{name!r} is not a number in every row"
            raise InputError(what, str(path), "write 0 where nothing happened")
    named = dictionary(table.column(arm))
    places, arms = named.indices.to_numpy(), named.dictionary.to_pylist()
    numbers = [table.column(name).to_numpy() for name in columns]
    # Near the middle of what is added up, so that no digits are lost.
    shift = np.array([float(one[:ROWS].mean()) for one in numbers])
    totals = [_Total(len(columns)) for _ in arms]
    for start in range(0, table.num_rows, ROWS):
        block = np.stack([one[start : start + ROWS] for one in numbers], axis=1) - shift
        whose = places[start : start + ROWS]
        for place, total in enumerate(totals):
            total.add(block[whose == place])
    return {str(name): total.moments(shift) for name, total in zip(arms, totals, strict=True)}


class _Total:
    """Sums of one arm's rows, each less a shift."""

    def __init__(self, k: int) -> None:
        self.n = 0
        self.sums, self.cross, self.cubes = np.zeros(k), np.zeros((k, k)), np.zeros(k)

    def add(self, rows: NDArray[np.float64]) -> None:
        self.n += len(rows)
        self.sums += rows.sum(axis=0)
        self.cross += rows.T @ rows
        self.cubes += np.einsum("nk,nk,nk->k", rows, rows, rows)

    def moments(self, shift: NDArray[np.float64]) -> Moments:
        cross = self.cross.tolist()
        whole = Moments.from_sums(self.n, self.sums.tolist(), cross, self.cubes.tolist())
        return Moments(whole.n, whole.means + shift, whole.products, whole.cubes)
