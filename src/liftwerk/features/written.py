"""Ibis expressions written as SQL, also for Spark where no client for it is installed."""

from __future__ import annotations

import ibis


class _Spark(ibis.config.Config):  # type: ignore[misc]  # Ibis has no types
    """Options that Ibis reads to write Spark's SQL, and that come with a client for Spark."""

    treat_nan_as_null: bool = False


if ibis.options.pyspark is None:
    ibis.options.pyspark = _Spark()


def sql_of(table: ibis.Table, dialect: str) -> str:
    """Write an expression.

    Parameters
    ----------
    table : ibis.Table
    dialect : str
        The engine, as Ibis names it.

    Returns
    -------
    str

    Examples
    --------
    >>> table = ibis.table({"a": "int64", "b": "int64"}, name="t")
    >>> " ".join(sql_of(table.select("a"), "duckdb").split())
    'SELECT "t0"."a" FROM "t" AS "t0"'
    """
    return str(ibis.to_sql(table, dialect=dialect))
