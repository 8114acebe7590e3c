"""One DuckDB connection in memory, set so that the machine it runs on changes nothing."""

from __future__ import annotations

import duckdb


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
