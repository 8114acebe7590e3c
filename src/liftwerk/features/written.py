"""Ibis expressions written as SQL, also for Spark where no client for it is installed."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType

import ibis

COMPILERS = "ibis.backends.sql.compilers"


class _OnDemand(ModuleType):
    """Ibis's compilers, each loaded when it is asked for: all twenty take 0.2 s, two are used."""

    def __getattr__(self, name: str) -> ModuleType:
        if name.startswith("_"):
            raise AttributeError(name)
        return importlib.import_module(f"{COMPILERS}.{name}")


def _load_on_demand() -> None:
    found = find_spec(COMPILERS)
    if found is None or COMPILERS in sys.modules:
        return
    compilers = _OnDemand(COMPILERS)
    compilers.__spec__, compilers.__path__ = found, list(found.submodule_search_locations or ())
    sys.modules[COMPILERS] = compilers


_load_on_demand()


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
