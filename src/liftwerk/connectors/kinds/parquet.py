"""Parquet: columns of any type, read as text so that one mapping serves every format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from liftwerk.connectors.definition import ImportDefinition
from liftwerk.connectors.rows import Rows, demand, found
from liftwerk.errors import InputError
from liftwerk.events.engine import connect, quoted, text


def opened(
    path: Path, label: str, definition: ImportDefinition, wanted: Iterable[str], scratch: Path
) -> Rows:
    """Open a Parquet file; see `liftwerk.connectors.kinds.csv.opened`."""
    found(path, label)
    relation = f"read_parquet({text(str(path))}, hive_partitioning = false)"

    def explain(error: Exception) -> InputError:
        first = str(error).strip().partition("\n")[0]
        return InputError(f"not a whole Parquet file ({first})", label, "export it again")

    try:
        columns = connect().sql(f"SELECT * FROM {relation}").columns
    except duckdb.Error as error:
        raise explain(error) from None
    demand(columns, wanted, label)
    listed = ", ".join(f"{quoted(column)}::VARCHAR AS {quoted(column)}" for column in columns)
    return Rows(tuple(columns), f"SELECT {listed} FROM {relation}", explain)
