"""The hash of a table: equal rows have an equal hash, in whatever order they come."""

from __future__ import annotations

import hashlib
import os
from functools import cache

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.errors import InputError
from liftwerk.events.engine import connect

BATCH = 65_536
"""Rows that are written at once; the stream's bytes depend on it."""


def table_hash(table: pa.Table) -> str:
    """Return the SHA-256 of a table's rows, as an Arrow stream in their own order.

    Parameters
    ----------
    table : pyarrow.Table
        Its columns count in their order, with their names and types.

    Returns
    -------
    str
        In hexadecimal digits.

    Raises
    ------
    InputError
        If rows with a column of such a type have no order.

    Examples
    --------
    >>> one = table_hash(pa.table({"a": [1, None, 2]}))
    >>> one == table_hash(pa.table({"a": [2, 1, None]})), one == table_hash(pa.table({"a": [1, 2]}))
    (True, False)
    """
    plain = plainly(table)
    order = _order(plain)
    found = _Digest()
    with pa.ipc.new_stream(pa.PythonFile(found, mode="w"), plain.schema) as writer:
        for start in range(0, plain.num_rows, BATCH):
            # What is taken has no rest of former values where it is null, and one length.
            rows = plain.take(order.slice(start, BATCH)).combine_chunks()
            writer.write_table(rows, max_chunksize=BATCH)
    return found.hexdigest()


def plainly(table: pa.Table) -> pa.Table:
    """Say the same with the plain types: text is a string, wherever a frame came from."""
    fields = [pa.field(field.name, _plain(field.type)) for field in table.schema]
    return table.replace_schema_metadata(None).cast(pa.schema(fields))


def _plain(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_fixed_size_binary(kind):
        return pa.binary()
    return kind


def _order(table: pa.Table) -> pa.Array:
    places = pa.array(range(table.num_rows), pa.int64())
    names = [f"c{place}" for place in range(table.num_columns)]
    numbered = table.rename_columns(names).append_column("place", places)
    connection = _database(os.getpid()).cursor()
    try:
        connection.register("_rows", numbered)
        found = connection.sql(f"SELECT place FROM _rows ORDER BY {', '.join([*names, 'place'])}")
        return pc.cast(found.to_arrow_table().column("place"), pa.int64()).combine_chunks()
    except duckdb.Error as error:
        what = f"a column has a type without an order ({str(error).partition(chr(10))[0]})"
        raise InputError(what, "the rows", "leave the column out, or write it as text") from None
    finally:
        connection.close()


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """Open one for a process: opening takes longer than putting a thousand rows in order.

    A process that was forked has none of its parent's threads, and opens its own.
    """
    return connect()


class _Digest:
    """A file that keeps nothing but the hash of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
