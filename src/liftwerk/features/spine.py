"""Rows with times, from a file or a frame: whose each is, and as of when."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from liftwerk.connectors.definition import ImportDefinition, format_of
from liftwerk.connectors.kinds import KINDS
from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, LiftwerkError, did_you_mean
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.identifiers import IDENTIFIERS, LEAF_BYTES
from liftwerk.features.digest import plainly
from liftwerk.identity.definition import VISITOR, anonymous_namespaces
from liftwerk.identity.resolve import CUSTOMER, leaf_of

TIME = "time"

PEOPLE = (CUSTOMER, VISITOR)
"""Whose key is the leaf key of an identifier."""

_ZONED = r"\d:\d\d.*([zZ]|[+-]\d\d(:?\d\d)?)$"
_INTEGER = r"-?(0|[1-9]\d{0,17})"
_NUMBER = r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?"
_COLUMN_TYPES = (("BIGINT", _INTEGER), ("DOUBLE", _NUMBER), ("BOOLEAN", "true|false"))


class Spine(Struct, frozen=True):
    """The rows of a training set before it is one.

    Attributes
    ----------
    rows : pyarrow.Table
        As they came.
    asked : pyarrow.Table
        The same as `liftwerk.features.as_of.training_set` takes them: leaf keys and times in UTC.
    time : str
        The column that says as of when.
    people : dict of str to tuple of str
        ``customer`` or ``visitor`` -> the columns that say who; the first that is not null counts.
    without_zone : int
        Times that name no zone, and were read in the project's.
    """

    rows: pa.Table
    asked: pa.Table
    time: str
    people: dict[str, tuple[str, ...]]
    without_zone: int


def read_rows(path: Path, delimiter: str = ",") -> pa.Table:
    """Read the rows of a CSV, NDJSON or Parquet file.

    Parameters
    ----------
    path : pathlib.Path
        Its ending says what it is; a text may be gzipped.
    delimiter : str
        Between the columns of a CSV file.

    Returns
    -------
    pyarrow.Table
        Columns of text that hold whole numbers only are integers, those that hold numbers only
        are floats, and ``true`` and ``false`` alone are booleans; so a label stays a label.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another kind.
    """
    label = str(path)
    format_ = format_of(path.name)
    if format_ is None:
        hint = "known endings: .csv, .ndjson, .json, each also .gz, .parquet"
        raise InputError("a file of no known kind", label, hint)
    kind = importlib.import_module(KINDS[format_])
    definition = ImportDefinition(source="", file=label, delimiter=delimiter)
    with tempfile.TemporaryDirectory(prefix="liftwerk-") as scratch:
        rows = kind.opened(path, label, definition, (), Path(scratch))
        try:
            if format_ == "parquet":
                return pq.read_table(path, partitioning=None)
            return _typed(connect().sql(rows.sql).to_arrow_table())
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise rows.explain(error) from None


def _typed(table: pa.Table) -> pa.Table:
    """Give columns of text the type that all their values have."""
    if table.num_rows == 0:
        return table
    connection = connect()
    connection.register("_rows", table)
    columns = [quoted(name) for name in table.column_names]
    checks = [
        f"count({column}) > 0 AND bool_and({column} IS NULL OR"
        f" regexp_full_match({column}, {text(pattern)}))"
        for column in columns
        for _, pattern in _COLUMN_TYPES
    ]
    (fits,) = connection.sql(f"SELECT {', '.join(checks)} FROM _rows").fetchall()
    each = len(_COLUMN_TYPES)
    made = []
    for place, column in enumerate(columns):
        known = zip(_COLUMN_TYPES, fits[place * each : (place + 1) * each], strict=True)
        kind = next((kind for (kind, _), fit in known if fit), "VARCHAR")
        made.append(f"{column}::{kind} AS {column}")
    found: pa.Table = connection.sql(f"SELECT {', '.join(made)} FROM _rows").to_arrow_table()
    return found


def spine_of(
    project: Project,
    rows: pa.Table,
    label: str,
    people: Sequence[str] = (CUSTOMER,),
    time: str = TIME,
    customer: str | None = None,
) -> Spine:
    """Find out whose rows are, and as of when.

    Parameters
    ----------
    project : Project
    rows : pyarrow.Table
    label : str
        What to call them in messages.
    people : sequence of str
        Which of ``customer`` and ``visitor`` are asked about.
    time : str
        The column of times. Those without a zone are in the project's; an hour that a zone goes
        through twice is the later one.
    customer : str, optional
        The column of customers: ``VALUE`` or ``NAMESPACE:VALUE``, or keys of 16 bytes. By default
        ``customer``; else the columns that are called like identifiers, the surest first.

    Returns
    -------
    Spine

    Raises
    ------
    InputError
        If a column is missing, or a row has no time or nobody; it names the row.
    """
    _demand(rows, time, label)
    plain = plainly(rows)
    times, without_zone = _times(project, plain.column(time), label, time)
    asked, chosen = _put(plain, TIME, times), {}
    for name in people:
        wanted = customer if name == CUSTOMER else None
        chosen[name] = _columns(project, rows, label, name, wanted)
        leaves = [_leaves(project, plain.column(one), one, label) for one in chosen[name]]
        found = pc.coalesce(*leaves)
        _refuse_first(found, label, lambda row: "it names nobody", f"fill in {chosen[name][0]}")
        asked = _put(asked, name, found)
    return Spine(rows, asked, time, chosen, without_zone)


def _put(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def _demand(rows: pa.Table, column: str, label: str) -> None:
    count = rows.column_names.count(column)
    if count == 1:
        return
    if count > 1:
        raise InputError(f"the column {column!r} is there twice", label, "leave one out")
    raise InputError(f"no column {column!r}", label, did_you_mean(column, rows.column_names))


def _times(
    project: Project, column: pa.ChunkedArray, label: str, name: str
) -> tuple[pa.ChunkedArray, int]:
    """Read times in the project's zone, and count those that do not name theirs."""
    kind = column.type
    hint = "write it in ISO 8601, such as 2026-03-01T09:30:00Z"
    if pa.types.is_timestamp(kind):
        column = pc.cast(column, pa.timestamp("us", kind.tz), safe=False)
        if kind.tz is not None:
            _refuse_first(column, label, lambda _: _no_time(None), hint)
            return column.cast(pa.timestamp("us", "UTC")), 0
    elif not (pa.types.is_string(kind) or pa.types.is_date(kind)):
        what = f"the column {name!r} is of type {kind} and holds no times"
        raise InputError(what, label, hint)
    connection = connect()
    connection.execute(f"SET TimeZone = {text(project.timezone.key)}")
    connection.register("_rows", pa.table({"said": column}))
    naive = "said IS NOT NULL"
    if pa.types.is_string(kind):
        naive += f" AND NOT regexp_matches(trim(said), {text(_ZONED)})"
    read = connection.sql(
        f"SELECT epoch_us(try_cast(said AS TIMESTAMPTZ)) AS at, {naive} AS naive FROM _rows"
    ).to_arrow_table()
    connection.close()
    _refuse_first(read.column("at"), label, lambda row: _no_time(column[row].as_py()), hint)
    without_zone = pc.sum(pc.cast(read.column("naive"), pa.int64())).as_py()
    return read.column("at").cast(pa.timestamp("us", "UTC")), without_zone or 0


def _no_time(said: object) -> str:
    if said is None:
        return "it has no time"
    return f"{str(said)!r} is no time"


def _columns(
    project: Project, rows: pa.Table, label: str, name: str, wanted: str | None
) -> tuple[str, ...]:
    """Name the columns that say who."""
    if wanted is None and name in rows.column_names:
        wanted = name
    if wanted is not None:
        _demand(rows, wanted, label)
        return (wanted,)
    namespaces = list(project.get(IDENTIFIERS))
    if name == VISITOR:
        namespaces = anonymous_namespaces(project)
    found = tuple(one for one in namespaces if one in rows.column_names)
    if not found:
        named = ", ".join(map(repr, namespaces))
        hint = f"name a column {name!r}, or like an identifier: {named or 'none is declared'}"
        raise InputError(f"no column says which {name} a row is about", label, hint)
    return found


def _leaves(project: Project, column: pa.ChunkedArray, name: str, label: str) -> pa.ChunkedArray:
    """Make leaf keys of a column: each value once, however many rows name it."""
    words = pc.dictionary_encode(column).combine_chunks()
    if isinstance(words, pa.ChunkedArray):
        words = words.unify_dictionaries().chunk(0)
    keys: list[bytes | None] = []
    wrong: dict[int, str] = {}
    for place, said in enumerate(words.dictionary.to_pylist()):
        key = None
        try:
            key = _key(project, name, said)
        except LiftwerkError as error:
            wrong[place] = error.what
        keys.append(key)
    if wrong:
        is_wrong = pc.is_in(words.indices, pa.array(list(wrong), words.indices.type))
        fine = pc.if_else(is_wrong, None, True)
        _refuse_first(
            pa.chunked_array([fine]),
            label,
            lambda row: f"{name}: {wrong[words.indices[row].as_py()]}",
            "mend it, or leave the row out",
        )
    return pa.chunked_array([pa.array(keys, pa.binary()).take(words.indices)])


def _key(project: Project, column: str, said: Any) -> bytes:
    """Make one leaf key; a value names its namespace, or its column does, or it is the first."""
    if isinstance(said, bytes):
        if len(said) != LEAF_BYTES:
            raise InputError(f"a key has {LEAF_BYTES} bytes, not {len(said)}", column)
        return said
    known, namespace = project.get(IDENTIFIERS), None
    before, colon, _ = str(said).partition(":")
    if not colon or before not in known:
        if column in known:
            namespace = column
        elif column == VISITOR:
            namespace = next(iter(anonymous_namespaces(project)), None)
    return leaf_of(project, str(said), namespace)


def _refuse_first(
    column: pa.ChunkedArray, label: str, say: Callable[[int], str], hint: str
) -> None:
    """Refuse rows in which a column is null, by the first of them."""
    if column.null_count == 0:
        return
    row = pc.index(pc.is_null(column), True).as_py()
    more = ""
    if column.null_count > 1:
        more = f" (and {column.null_count - 1} more rows)"
    raise InputError(f"{say(row)}{more}", f"{label}, row {row + 1}", hint)
