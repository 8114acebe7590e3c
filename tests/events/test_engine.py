"""Databases for few rows: many at once, in one engine, and none sees another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from liftwerk.events.engine import connect_for_few


def tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [name for (name,) in connection.execute("SHOW TABLES").fetchall()]


def test_neither_of_two_sees_the_other() -> None:
    with connect_for_few() as one, connect_for_few() as other:
        one.execute("CREATE TABLE t AS SELECT 1 AS a")
        one.execute("CREATE VIEW v AS SELECT a FROM t")
        assert tables(other) == []
        other.execute("CREATE TABLE t AS SELECT 2 AS a")
        assert one.execute("SELECT a FROM v").fetchall() == [(1,)]


def fail_inside() -> None:
    with connect_for_few() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        connection.execute("SELECT nothing FROM t")


def test_nothing_is_left_when_it_ends() -> None:
    with pytest.raises(duckdb.BinderException):
        fail_inside()
    with connect_for_few() as connection:
        assert tables(connection) == []
        names = connection.execute("SELECT database_name FROM duckdb_databases()").fetchall()
        assert [name for (name,) in names if name.startswith("few_")] == [
            connection.execute("SELECT current_database()").fetchall()[0][0]
        ]


def test_threads_work_beside_each_other() -> None:
    def count(number: int) -> int:
        with connect_for_few() as connection:
            connection.execute(f"CREATE TABLE t AS SELECT * FROM range({number})")
            [(found,)] = connection.execute("SELECT count(*) FROM t").fetchall()
            return int(found)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(count, range(200))) == list(range(200))


def test_its_settings_are_those_of_any_connection() -> None:
    with connect_for_few() as connection:
        settings = connection.execute(
            "SELECT current_setting('TimeZone'), current_setting('threads')"
        ).fetchall()
    assert settings == [("UTC", 1)]
