"""Read a file as the importer will, tidy what it would refuse, and describe each column."""

from __future__ import annotations

import codecs
import csv
import importlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from msgspec import Struct
from msgspec.structs import replace

from liftwerk.connectors.definition import FORMATS, ImportDefinition
from liftwerk.connectors.kinds import KINDS
from liftwerk.connectors.rows import Rows, text_of
from liftwerk.connectors.rows import found as demand_file
from liftwerk.connectors.trial.words import SYMBOLS
from liftwerk.errors import InputError
from liftwerk.events.engine import connect, quoted, text

LEVELS = 50
"""A column with more different values is not described value by value."""

TABLE = "_trial"

_DELIMITERS = (",", ";", "\t", "|")
_ENDINGS = {".tsv": "\t", ".tsv.gz": "\t", ".txt": None, ".txt.gz": None}
_HEAD_LINES = 50
_BLANKS = ("na", "n/a", "nan", "null", "none", "-", "?", ".")

_SYMBOLS = rf"[\s'{''.join(SYMBOLS)}]"
_PLAIN = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_COMMA = r"[+-]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+)(,[0-9]+)?"
_THOUSANDS = r"[+-]?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?"
_WHOLE = r"\s*[+-]?[0-9]{1,18}(\.0*)?\s*"
_TIME = r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}.*)?\s*"
_EMAIL = r"\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*"
_PHONE = r"\s*(\+|00|0)[0-9][0-9 ()/.-]{6,}\s*"


class Column(Struct, frozen=True):
    """What can be said of one column.

    Attributes
    ----------
    name : str
        As the header has it.
    filled : int
        Rows that say something.
    distinct : int
        Different values.
    numbers, wholes, times, emails, phones : int
        Rows that say such a thing.
    decimals : int
        Most decimals of a number.
    low, high : float or None
        The smallest and the largest number.
    nonzero : int
        Numbers other than 0.
    padded : bool
        Whether a number is written with leading zeros, as codes are.
    longest : int
        Characters of the longest value.
    levels : tuple of (str, int)
        Value and rows, the most frequent first; empty when there are too many.
    tidied : str
        What had to be changed so that it can be imported; empty for nothing.
    """

    name: str
    filled: int
    distinct: int
    numbers: int
    wholes: int
    times: int
    emails: int
    phones: int
    decimals: int
    low: float | None
    high: float | None
    nonzero: int
    padded: bool
    longest: int
    levels: tuple[tuple[str, int], ...] = ()
    tidied: str = ""

    @property
    def is_number(self) -> bool:
        """Whether every value is a number, and not a code that looks like one."""
        return 0 < self.filled == self.numbers and not self.padded

    @property
    def is_whole(self) -> bool:
        """Whether every value is a whole number."""
        return self.is_number and self.wholes == self.filled

    @property
    def is_time(self) -> bool:
        """Whether every value is a date or a time."""
        return 0 < self.filled == self.times


@dataclass(frozen=True)
class Look:
    """A file that was read.

    Attributes
    ----------
    file : pathlib.Path
        The file.
    connection : duckdb.DuckDBPyConnection
        Holds the rows, as text, in the table `TABLE`.
    columns : tuple of Column
        In the file's order.
    rows : int
        How many.
    format : str
        One of the importer's formats.
    delimiter, encoding : str
        Of a CSV file.
    symbol : str
        A currency's sign that stood beside amounts; empty for none.
    """

    file: Path
    connection: duckdb.DuckDBPyConnection
    columns: tuple[Column, ...]
    rows: int
    format: str
    delimiter: str
    encoding: str
    symbol: str

    def column(self, name: str) -> Column:
        """Return a column by its name."""
        return next(column for column in self.columns if column.name == name)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask something of the rows in `TABLE`."""
        rows: list[tuple[Any, ...]] = self.connection.sql(sql).fetchall()
        return rows


@contextmanager
def look(file: Path) -> Iterator[Look]:
    """Read a file and describe its columns.

    Parameters
    ----------
    file : pathlib.Path
        CSV (any usual delimiter, encoding and spelling of numbers), Parquet or NDJSON.

    Yields
    ------
    Look

    Raises
    ------
    InputError
        If it is missing, damaged, empty or not such a file.
    """
    label = file.name
    demand_file(file, label)
    definition = _definition(file)
    format_ = definition.file_format
    assert format_ is not None
    with tempfile.TemporaryDirectory(prefix="liftwerk-") as scratch, connect() as connection:
        kind = importlib.import_module(KINDS[format_])
        rows: Rows = kind.opened(file, label, definition, (), Path(scratch))
        for column in rows.columns:
            if not column.isprintable():
                hint = "name it in one line in the header"
                raise InputError(f"the column name {column!r} cannot be used", label, hint)
        try:
            connection.execute(f"CREATE TABLE _raw AS {rows.sql}")
        except duckdb.Error as error:
            raise rows.explain(error) from None
        ((count,),) = connection.sql("SELECT count(*) FROM _raw").fetchall()
        if count == 0:
            raise InputError("no rows under the header", label, "export it again")
        prefers_comma = definition.delimiter == ";"
        tidy = [_tidied(connection, name, prefers_comma) for name in rows.columns]
        listed = ", ".join(
            f"{sql} AS {quoted(name)}" for name, (sql, _) in zip(rows.columns, tidy, strict=True)
        )
        connection.execute(f"CREATE TABLE {TABLE} AS SELECT {listed} FROM _raw")
        symbol = _symbol(connection, rows.columns)
        connection.execute("DROP TABLE _raw")
        columns = tuple(
            _described(connection, name, why)
            for name, (_, why) in zip(rows.columns, tidy, strict=True)
        )
        yield Look(
            file,
            connection,
            columns,
            count,
            format_,
            definition.delimiter,
            definition.encoding,
            symbol,
        )


def _definition(file: Path) -> ImportDefinition:
    """Find out how to read the file."""
    name = file.name.lower()
    for ending, format_ in FORMATS.items():
        if name.endswith(ending) and format_ != "csv":
            return _as_import(file, format_, ",", "utf-8")
    known = [ending for ending in (*FORMATS, *_ENDINGS) if name.endswith(ending)]
    if not known:
        hint = f"one of {', '.join((*FORMATS, *_ENDINGS))}"
        raise InputError("not a kind of file that can be read", file.name, hint)
    encoding = _encoding(file)
    delimiter = _ENDINGS.get(known[-1])
    if delimiter is None:
        delimiter = _delimiter(file, encoding)
    return _as_import(file, "csv", delimiter, encoding)


def _as_import(file: Path, format_: str, delimiter: str, encoding: str) -> ImportDefinition:
    return ImportDefinition(
        source="trial",
        file=file.name,
        key=(),
        identifiers={},
        events=(),
        format=format_,  # type: ignore[arg-type]
        delimiter=delimiter,
        encoding=encoding,
    )


def _encoding(file: Path) -> str:
    """Name the first encoding that fits: UTF-8, UTF-16 by its mark, or that of old exports."""
    with open(file, "rb") as start:
        mark = start.read(2)
    if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    for encoding in ("utf-8", "cp1252"):
        try:
            for _ in text_of(file, file.name, encoding):
                pass
        except InputError as error:
            if not error.what.startswith("not "):
                raise
        else:
            return encoding
    return "latin-1"


def _delimiter(file: Path, encoding: str) -> str:
    """Find the character that cuts the first lines into equally many fields, and into most."""
    head = ""
    for piece in text_of(file, file.name, encoding):
        head += piece
        if head.count("\n") > _HEAD_LINES:
            break
    lines = head.splitlines()[:_HEAD_LINES]
    best, most = ",", 1
    for delimiter in _DELIMITERS:
        counts = [
            len(row) for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
        ]
        alike = sum(count == counts[0] for count in counts)
        if counts[0] > most and alike >= 0.8 * len(counts):
            best, most = delimiter, counts[0]
    return best


def _tidied(
    connection: duckdb.DuckDBPyConnection, name: str, prefers_comma: bool
) -> tuple[str, str]:
    """Return a column as SQL that the importer takes, and what that changes."""
    raw = quoted(name)
    blank = f"lower(trim({raw})) IN ({', '.join(map(text, _BLANKS))})"
    bare = f"regexp_replace({raw}, {text(_SYMBOLS)}, '', 'g')"
    fits = [f"count(*) FILTER (WHERE regexp_full_match({raw}, {text(_PLAIN)}))"]
    fits += [
        f"count(*) FILTER (WHERE regexp_full_match({bare}, {text(pattern)}))"
        for pattern in (_PLAIN, _COMMA, _THOUSANDS)
    ]
    (row,) = connection.sql(
        f"SELECT count({raw}) FILTER (WHERE NOT {blank}), count({raw}) FILTER (WHERE {blank}),"
        f" {', '.join(fits)} FROM _raw"
    ).fetchall()
    said, blanks, plain, symbols, comma, thousands = row
    changes = []
    value = raw
    if said == 0 or said > max(symbols, comma, thousands):
        return raw, ""
    if plain == said:
        pass
    elif symbols == said:
        value = bare
        changes.append("signs beside numbers taken off")
    elif comma == said and (prefers_comma or thousands < said):
        value = f"replace(replace({bare}, '.', ''), ',', '.')"
        changes.append("decimal commas written as points")
    elif thousands == said:
        value = f"replace({bare}, ',', '')"
        changes.append("commas between thousands taken out")
    else:
        return raw, ""
    if blanks > 0:
        value = f"CASE WHEN NOT {blank} THEN {value} END"
        changes.append("words for a missing number left empty")
    return value, ", ".join(changes)


def _symbol(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> str:
    """Return a currency's sign that stands beside numbers."""
    beside = []
    for symbol in SYMBOLS:
        pattern = rf"\s*([{symbol}]\s*[0-9.,]+|[0-9.,]+\s*[{symbol}])\s*"
        fits = [f"regexp_full_match({quoted(name)}, {text(pattern)})" for name in columns]
        beside.append(f"coalesce(bool_or({' OR '.join(fits)}), false)")
    (found,) = connection.sql(f"SELECT {', '.join(beside)} FROM _raw").fetchall()
    return next((symbol for symbol, is_there in zip(SYMBOLS, found, strict=True) if is_there), "")


def _described(connection: duckdb.DuckDBPyConnection, name: str, tidied: str) -> Column:
    raw = quoted(name)
    number = (
        f"CASE WHEN regexp_full_match(trim({raw}), {text(_PLAIN)}) THEN CAST({raw} AS DOUBLE) END"
    )
    fraction = rf"length(regexp_extract({raw}, '\.([0-9]*[1-9])0*\s*$', 1))"

    def many(pattern: str) -> str:
        return f"count(*) FILTER (WHERE regexp_full_match({raw}, {text(pattern)}))"

    (row,) = connection.sql(
        f"SELECT count({raw}), count(DISTINCT {raw}), count({number}),"
        f" {many(_WHOLE)}, {many(_TIME)}, {many(_EMAIL)},"
        f" {many(_PHONE)}, coalesce(max({fraction}), 0), min({number}), max({number}),"
        f" count(*) FILTER (WHERE {number} <> 0),"
        rf" count(*) FILTER (WHERE regexp_full_match({raw}, '\s*0[0-9]+\s*')) > 0,"
        f" coalesce(max(length({raw})), 0) FROM {TABLE}"
    ).fetchall()
    levels: list[tuple[str, int]] = []
    if row[1] <= LEVELS:
        levels = connection.sql(
            f"SELECT {raw}, count(*) FROM {TABLE} WHERE {raw} IS NOT NULL"
            f" GROUP BY ALL ORDER BY count(*) DESC, {raw}"
        ).fetchall()
    return replace(Column(name, *row), levels=tuple(levels), tidied=tidied)
