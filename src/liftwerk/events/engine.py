"""One DuckDB connection in memory, set so that the machine it runs on changes nothing."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

_NUMBERS = itertools.count()
_ONE_AT_A_TIME = threading.Lock()


def connect() -> duckdb.DuckDBPyConnection:
    """Open an empty in-memory database: UTC, no extension fetched, no home of its own.

    Examples
    --------
    >>> connect().execute("select '2026-03-01T10:00:00+01:00'::timestamptz::varchar").fetchone()
    ('2026-03-01 09:00:00+00',)
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    return _set(connection)


def bound(connection: duckdb.DuckDBPyConnection, megabytes: int, spill: Path) -> None:
    """Let a database's memory not grow beyond a size: what is more lies in a folder meanwhile.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Nothing of it was spilled yet.
    megabytes : int
    spill : Path
        Its owner removes it. Rows come in any order then, unless a statement says in which.

    Examples
    --------
    >>> connection = connect()
    >>> bound(connection, 500, Path("spilled"))
    >>> connection.execute("select current_setting('memory_limit')").fetchone()
    ('476.8 MiB',)
    """
    connection.execute(f"SET memory_limit = '{megabytes}MB'")
    connection.execute(f"SET temp_directory = {text(str(spill))}")
    connection.execute("SET preserve_insertion_order = false")


@contextmanager
def connect_for_few() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty in-memory database for some thousand rows that are in memory already.

    It is there at once, where `connect` takes some 13 ms to start an engine: all share one, which
    works with one thread, as more of them gain no time on few rows. Nothing in it is seen by
    another.

    Examples
    --------
    >>> with connect_for_few() as connection:
    ...     print(connection.execute("select 1 as a").fetchall())
    [(1,)]
    """
    name = f"few_{next(_NUMBERS)}"
    with _ONE_AT_A_TIME:
        engine = _shared(os.getpid())
        connection = engine.cursor()
    try:
        _set(connection)
        connection.execute(f"ATTACH ':memory:' AS {name}")
        connection.execute(f"USE {name}")
        yield connection
    finally:
        connection.close()
        with _ONE_AT_A_TIME:
            engine.execute(f"DETACH DATABASE IF EXISTS {name}")


@functools.cache
def _shared(_: int) -> duckdb.DuckDBPyConnection:
    # One for each process: an engine must not cross a fork.
    connection = connect()
    connection.execute("SET threads = 1")
    return connection


def _set(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET TimeZone = 'UTC'")
    # It would be drawn on standard output, into the one document that stands there.
    connection.execute("SET enable_progress_bar = false")
    return connection


def quoted(name: str) -> str:
    """Write a name as an SQL identifier.

    Examples
    --------
    >>> quoted('offset')
    '"offset"'
    """
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def text(value: str) -> str:
    """Write a value as an SQL string.

    Examples
    --------
    >>> text("men's")
    "'men''s'"
    """
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
