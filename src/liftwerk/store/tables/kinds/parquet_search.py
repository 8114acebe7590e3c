"""Which Parquet files hold a value, found by reading as few rows as can be.

A row group says the smallest and the largest value of a column, which is enough where rows are
sorted by it; and it has a Bloom filter of each column of keys, which knows most values that are not
there wherever they would lie. Neither ever leaves out a group that has the value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.compute
import pyarrow.parquet
from msgspec import Struct

PROBES = 200
"""Most lookups in filters; for more values than that, reading the columns of keys is cheaper."""

Group = tuple[str, int]


class Search(Struct, frozen=True):
    """What was found: the files that hold a value, the rows that were looked at, and all rows."""

    files: list[str]
    read: int
    of: int


def search(files: Sequence[Path], columns: Sequence[str], values: Sequence[bytes]) -> Search:
    """Find the files of which some row holds one of the values.

    Parameters
    ----------
    files : sequence of pathlib.Path
    columns : sequence of str
        Columns of bytes; a file may lack some.
    values : sequence of bytes

    Returns
    -------
    Search
    """
    wanted = sorted(set(values))
    opened = {str(file): pyarrow.parquet.ParquetFile(file) for file in files}
    possible: dict[tuple[str, bytes], set[Group]] = {}
    whole: dict[str, set[Group]] = {column: set() for column in columns}
    total = 0
    for name, parquet in opened.items():
        total += parquet.metadata.num_rows
        places = {path: place for place, path in enumerate(parquet.schema_arrow.names)}
        for number in range(parquet.num_row_groups):
            for column in columns:
                if column not in places:
                    continue
                for value in _within(parquet, number, places[column], wanted):
                    possible.setdefault((column, value), set()).add((name, number))
                    whole[column].add((name, number))
    if len(possible) <= PROBES:
        whole = _filtered(possible)
    groups: dict[str, set[int]] = {}
    for found in whole.values():
        for name, number in found:
            groups.setdefault(name, set()).add(number)
    values_array = pyarrow.array(wanted, pyarrow.binary())
    holding, read = [], 0
    for name, numbers in sorted(groups.items()):
        parquet = opened[name]
        read += sum(parquet.metadata.row_group(number).num_rows for number in numbers)
        known = [column for column in columns if column in parquet.schema_arrow.names]
        table = parquet.read_row_groups(sorted(numbers), columns=known)
        if any(_holds(table.column(column), values_array) for column in known):
            holding.append(name)
    return Search(holding, read, total)


def rows_holding(
    table: pyarrow.Table, columns: Sequence[str], values: Sequence[bytes]
) -> tuple[pyarrow.ChunkedArray, Counter[str]]:
    """Say which rows hold a value, and count them by the first column that does.

    Parameters
    ----------
    table : pyarrow.Table
    columns : sequence of str
        Columns of bytes that it has.
    values : sequence of bytes

    Returns
    -------
    found : pyarrow.ChunkedArray
        One boolean a row.
    counts : Counter of str to int
        Column -> rows.
    """
    wanted = pyarrow.array(sorted(set(values)), pyarrow.binary())
    counts: Counter[str] = Counter()
    found = pyarrow.chunked_array([pyarrow.repeat(False, table.num_rows)])
    for column in columns:
        here = pyarrow.compute.is_in(table.column(column).cast(pyarrow.binary()), wanted)
        new = pyarrow.compute.and_not(here, found)
        counts[column] += pyarrow.compute.sum(new).as_py() or 0
        found = pyarrow.compute.or_(found, here)
    return found, counts


def _within(
    parquet: pyarrow.parquet.ParquetFile, number: int, place: int, wanted: Sequence[bytes]
) -> Sequence[bytes]:
    """Return the values that a row group's bounds don't rule out."""
    statistics = parquet.metadata.row_group(number).column(_leaf(parquet, place)).statistics
    if statistics is None:
        return wanted
    if not statistics.has_min_max:
        if statistics.num_values == 0:
            return ()  # nothing but nulls
        return wanted
    first = bisect_left(wanted, statistics.min)
    # A bound may be cut off: what begins with it is not beyond it.
    return [one for one in wanted[first:] if one[: len(statistics.max)] <= statistics.max]


def _filtered(possible: dict[tuple[str, bytes], set[Group]]) -> dict[str, set[Group]]:
    """Ask the row groups' filters."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET enable_progress_bar = false")
    kept: dict[str, set[Group]] = {}
    for (column, value), groups in possible.items():
        names = sorted({name for name, _ in groups})
        rows = connection.execute(
            "SELECT file_name, row_group_id FROM parquet_bloom_probe(?, ?, ?::BLOB)"
            " WHERE NOT bloom_filter_excludes",
            [names, column, value],
        ).fetchall()
        kept.setdefault(column, set()).update(groups & {(name, group) for name, group in rows})
    connection.close()
    return kept


def _leaf(parquet: pyarrow.parquet.ParquetFile, place: int) -> int:
    """Return a column's number among the physical ones: lists and structs before it have more."""
    name = parquet.schema_arrow.names[place]
    paths = [parquet.schema.column(number).path for number in range(len(parquet.schema))]
    return paths.index(name)


def _holds(column: pyarrow.ChunkedArray, values: pyarrow.Array) -> bool:
    here = pyarrow.compute.is_in(column.cast(pyarrow.binary()), values)
    return bool(pyarrow.compute.any(here).as_py())
