"""Rows of an inbox as the Arrow table that its readers get, whatever kind keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow

SCHEMA = pyarrow.schema(
    [
        ("offset", pyarrow.int64()),
        ("event_id", pyarrow.binary(16)),
        ("name", pyarrow.string()),
        ("received", pyarrow.timestamp("us", tz="UTC")),
        ("body", pyarrow.binary()),
    ]
)
"""The columns that `Inbox.read` returns."""


def table_of(rows: Sequence[tuple[Any, ...]]) -> pyarrow.Table:
    """Turn rows into a table.

    Parameters
    ----------
    rows : sequence of tuple
        Offset, id, name, microseconds of receipt, body.

    Examples
    --------
    >>> table_of([(1, bytes(16), "visit", 0, b"{}")]).column("offset").to_pylist()
    [1]
    >>> table_of([]).num_rows
    0
    """
    columns = list(zip(*rows, strict=True))
    if not rows:
        columns = [() for _ in SCHEMA]
    arrays = [
        pyarrow.array(column, type=field.type)
        for column, field in zip(columns, SCHEMA, strict=True)
    ]
    return pyarrow.Table.from_arrays(arrays, schema=SCHEMA)
