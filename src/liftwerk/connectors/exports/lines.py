"""The rows of an export as one JSON text each, whatever the format of its file."""

from __future__ import annotations

from pathlib import Path

import duckdb

from liftwerk.connectors.definition import ImportDefinition, format_of
from liftwerk.connectors.kinds import csv, parquet
from liftwerk.connectors.rows import Rows, found, is_gzip, readable
from liftwerk.errors import InputError
from liftwerk.events.engine import connect, quoted, text

LINE = "line"
LONGEST = 64 << 20
"""Bytes of the longest line."""


def opened(path: Path, label: str, definition: ImportDefinition, scratch: Path) -> Rows:
    """Read an export's file through.

    Parameters
    ----------
    path : pathlib.Path
        NDJSON or CSV, plain or gzipped, or Parquet.
    label : str
        What to call it in messages.
    definition : ImportDefinition
    scratch : pathlib.Path
        A folder for a copy in UTF-8, where one is needed.

    Returns
    -------
    Rows
        One column, `LINE`; a line of NDJSON as it is, also one that is no JSON.

    Raises
    ------
    InputError
        If the file is not whole, or not text.
    """
    format_ = definition.format
    if format_ is None:
        format_ = format_of(path.name)
    if format_ == "parquet":
        return _as_json(parquet.opened(path, label, definition, (), scratch), _nested(path))
    if format_ == "csv":
        rows = csv.opened(path, label, definition, (), scratch)
        return _as_json(rows, rows.sql)
    found(path, label)
    plain, _ = readable(path, label, definition.encoding, scratch)
    compression = "none"
    if is_gzip(plain):
        compression = "gzip"
    # No JSON has this character in it unescaped: each line is one field.
    sql = (
        f"SELECT {LINE} FROM read_csv({text(str(plain))}, columns = {{'{LINE}': 'VARCHAR'}},"
        " header = false, auto_detect = false, delim = '\x01', quote = '', escape = '',"
        f" max_line_size = {LONGEST}, buffer_size = {2 * LONGEST}, compression = '{compression}')"
    )

    def explain(error: Exception) -> InputError:
        first = str(error).strip().partition("\n")[0]
        return InputError(f"the file cannot be read ({first})", label, "export it again")

    return Rows((LINE,), sql, explain)


def _nested(path: Path) -> str:
    return f"SELECT * FROM read_parquet({text(str(path))}, hive_partitioning = false)"


def _as_json(rows: Rows, sql: str) -> Rows:
    named = ", ".join(f"{text(column)}: {quoted(column)}" for column in rows.columns)
    return Rows(
        (LINE,), f"SELECT to_json({{{named}}})::VARCHAR AS {LINE} FROM ({sql})", rows.explain
    )


def count(rows: Rows) -> int:
    """Count a file's rows.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    connection = connect()
    try:
        [(many,)] = connection.execute(f"SELECT count(*) FROM ({rows.sql})").fetchall()
    except duckdb.Error as error:
        raise rows.explain(error) from None
    finally:
        connection.close()
    return int(many)
