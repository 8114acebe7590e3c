"""A file of outcomes by market and day, under whatever column names it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from liftwerk.errors import EnvironmentFault, InputError, did_you_mean
from liftwerk.experiments.geo import markets as rows
from liftwerk.experiments.geo.markets import Markets

USUAL: Mapping[str, tuple[str, ...]] = {
    rows.GEO: ("geo", "location", "region", "market", "city", "dma", "state", "area", "zip"),
    rows.DAY: ("day", "date", "time", "week", "period", "ds", "month"),
    rows.VALUE: ("value", "y", "outcome", "revenue", "orders", "sales", "conversions", "kpi"),
    rows.SPEND: ("spend", "cost", "budget", "investment"),
}
"""What columns are usually called, in any case."""


def read_file(path: Path, named: Mapping[str, str | None]) -> Markets:
    """Read a CSV or Parquet file: a row a market and day.

    Parameters
    ----------
    path : pathlib.Path
    named : mapping of str to str or None
        ``geo``, ``day``, ``value``, ``spend`` -> the column; None to look for a usual name.

    Returns
    -------
    Markets

    Raises
    ------
    InputError
        If the file cannot be read so.
    """
    table = _table(path)
    found = {}
    for role in (rows.GEO, rows.DAY, rows.VALUE, rows.SPEND):
        column = _column(table.column_names, role, named.get(role), str(path))
        if column is not None:
            found[role] = column
    columns = {role: table[column] for role, column in found.items()}
    if pa.types.is_binary(columns[rows.GEO].type):
        # Arrow takes text that is not UTF-8 for bytes.
        what = f"column {found[rows.GEO]!r} is not text in UTF-8"
        raise InputError(what, str(path), "write the file in UTF-8")
    columns[rows.DAY] = _days(columns[rows.DAY], found[rows.DAY], str(path))
    for role in (rows.VALUE, rows.SPEND):
        if role in columns:
            columns[role] = _numbers(columns[role], found[role], str(path))
    return rows.from_table(pa.table(columns), str(path))


def _table(path: Path) -> pa.Table:
    if path.is_dir():
        raise InputError("this is a folder", str(path), "name a file")
    try:
        if path.suffix == ".parquet":
            return parquet.read_table(path)
        return csv.read_csv(path)
    except FileNotFoundError:
        raise InputError("there is no such file", str(path), "check the path") from None
    except PermissionError:
        hint = "give yourself the right to read it"
        raise EnvironmentFault("permission denied", str(path), hint) from None
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        what = " ".join(str(error).split()).partition(". ")[0]
        raise InputError(what, str(path), "write it as CSV in UTF-8, or as Parquet") from None


def _column(columns: Sequence[str], role: str, asked: str | None, where: str) -> str | None:
    """Choose the column of a role: the one that is asked for, else one with a usual name."""
    if asked is not None:
        if asked in columns:
            return asked
        raise InputError(f"there is no column {asked!r}", where, did_you_mean(asked, columns))
    by_name = {name.lower().strip(): name for name in reversed(columns)}
    for usual in USUAL[role]:
        if usual in by_name:
            return by_name[usual]
    if role == rows.SPEND:
        return None
    hint = f"name it with --{role}; there are: {', '.join(columns)}"
    raise InputError(f"no column looks like the {role}", where, hint)


def _days(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return pc.cast(column, pa.date32(), safe=False)
    try:
        # Text that Arrow didn't take for dates of itself, such as 20260301.
        return pc.cast(pc.strptime(pc.cast(column, pa.string()), "%Y%m%d", "s"), pa.date32())
    except pa.ArrowInvalid:
        raise InputError(
            f"column {name!r} does not hold days", where, "write them as 2026-03-01"
        ) from None


def _numbers(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    try:
        return pc.cast(column, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(
            f"column {name!r} does not hold numbers", where, "write them as 1234.5"
        ) from None
