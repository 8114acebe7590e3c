"""Reference data as of two times: what held then, by what was known then; for a purpose.

Rows carry no consent. An entity without personal data may be read for every declared purpose, or
for those that it names; one about people only for those that it names, none of which rests on
consent. Nobody whose erasure has begun is read.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import duckdb
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.columns import sql_type
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.entities.schema import EntityType, entity_of
from liftwerk.events.read import purpose_named
from liftwerk.events.sequence import parquet
from liftwerk.privacy.definition import HOUSEKEEPING
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores

BURIED = "_buried"
TIMES = ("valid_from", "valid_to", "known_at")


def read(
    project: Project,
    stores: Stores,
    name: str,
    purpose: str,
    at: datetime,
    as_of: AsOf = NOW,
    key: Mapping[str, Any] | None = None,
) -> pyarrow.Table:
    """Read what held at a moment.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        The entity.
    purpose : str
        A declared purpose that may read it, or one of the built-in ones.
    at : datetime
        The moment, with its zone.
    as_of : AsOf
        What the reader may know: a correction that was learnt later is left out.
    key : mapping of str to object, optional
        Only the thing of this key.

    Returns
    -------
    pyarrow.Table
        One row a key, in their order: the properties, money in minor units, and ``valid_from``,
        ``valid_to`` (null while nothing follows) and ``known_at``.

    Raises
    ------
    UnknownName
        If the entity or the purpose is not declared.
    InputError
        If the purpose may not read it, or the key is not one of its.
    """
    kind = entity_of(project, name)
    with timelines(project, stores, purpose, [name], as_of) as connection:
        condition, values = _of_key(kind, key)
        keys = ", ".join(map(quoted, kind.definition.key))
        return connection.sql(
            f"SELECT * FROM {quoted(name)} WHERE valid_from <= ?"
            f" AND (valid_to IS NULL OR valid_to > ?) AND {condition} ORDER BY {keys}",
            params=[at, at, *values],
        ).to_arrow_table()


def timeline(
    project: Project,
    stores: Stores,
    name: str,
    purpose: str,
    as_of: AsOf = NOW,
    key: Mapping[str, Any] | None = None,
) -> pyarrow.Table:
    """Read all that holds at one time or another; parameters and errors as of `read`.

    Returns
    -------
    pyarrow.Table
        As `read` has it, a row for each stretch of time: no two of one key overlap.
    """
    kind = entity_of(project, name)
    with timelines(project, stores, purpose, [name], as_of) as connection:
        condition, values = _of_key(kind, key)
        order = ", ".join([*map(quoted, kind.definition.key), "valid_from"])
        return connection.sql(
            f"SELECT * FROM {quoted(name)} WHERE {condition} ORDER BY {order}",
            params=values,
        ).to_arrow_table()


@contextmanager
def timelines(
    project: Project,
    stores: Stores,
    purpose: str,
    names: Sequence[str],
    as_of: AsOf = NOW,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection in which each entity is a view of its timeline.

    Parameters
    ----------
    project : Project
    stores : Stores
    purpose : str
    names : sequence of str
        The entities.
    as_of : AsOf

    Yields
    ------
    duckdb.DuckDBPyConnection
        No file is removed while it is open.
    """
    kinds = [entity_of(project, name) for name in names]
    for kind in kinds:
        demand_purpose(project, kind.name, purpose)
    with stores.tables.reading():
        connection = connect()
        connection.execute(f"CREATE TABLE {BURIED} (leaf BLOB)")
        buried = sorted(stores.ledger.buried())
        if buried:
            connection.execute(f"INSERT INTO {BURIED} SELECT unnest(?::BLOB[])", [buried])
        try:
            for kind in kinds:
                view = timeline_sql(kind, rows_sql(kind, stores, as_of))
                connection.execute(f"CREATE VIEW {quoted(kind.name)} AS {view}")
            yield connection
        finally:
            connection.close()


def hold_timelines(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    stores: Stores,
    purpose: str,
    names: Sequence[str],
    as_of: AsOf = NOW,
) -> None:
    """Put entities' timelines beside the events of a connection, as tables of their names.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        From `liftwerk.events.read.relations`, opened for the same purpose.
    project : Project
    stores : Stores
    purpose : str
    names : sequence of str
    as_of : AsOf

    Raises
    ------
    UnknownName, InputError
        As of `read`.
    """
    for name in names:
        demand_purpose(project, name, purpose)
        kind = entity_of(project, name)
        rows = timeline_sql(kind, rows_sql(kind, stores, as_of))
        connection.execute(f"CREATE TABLE {quoted(name)} AS {rows}")


def readable_for(project: Project, purpose: str) -> list[str]:
    """Name the entities that a purpose may read.

    Raises
    ------
    UnknownName
        If the purpose is not declared.
    """
    purpose_named(project, purpose)
    return [
        name
        for name, entity in project.get(ENTITIES).items()
        if purpose in HOUSEKEEPING or not entity.purposes or purpose in entity.purposes
    ]


def demand_purpose(project: Project, name: str, purpose: str) -> None:
    """Refuse a purpose that may not read an entity.

    Raises
    ------
    UnknownName, InputError
    """
    if name in readable_for(project, purpose):
        return
    allowed = ", ".join(project.get(ENTITIES)[name].purposes)
    hint = f"it may be read for: {allowed}"
    raise InputError(f"{name!r} may not be read for {purpose!r}", f"entities.{name}", hint)


def rows_sql(kind: EntityType, stores: Stores, as_of: AsOf = NOW) -> str:
    """Return a SELECT of all rows that were known by then, of those who are not erased.

    It reads the relation `BURIED`; its columns are the declared ones, whatever the files hold.
    """
    snapshot = stores.ledger.latest_snapshot()
    types = {column.name: column.type for column in kind.columns}
    types |= {"valid_from": "TIMESTAMPTZ", "known_at": "TIMESTAMPTZ", "offset": "BIGINT"}
    files: list[str] = []
    if snapshot is not None and kind.table in snapshot.tables:
        version = snapshot.tables[kind.table]
        files = stores.tables.files(kind.table, version)
    if not files:
        nothing = ", ".join(f"NULL::{type_} AS {quoted(key)}" for key, type_ in types.items())
        return f"SELECT {nothing} WHERE FALSE"
    present = set(stores.tables.schema(kind.table, version).names)
    columns = ", ".join(_column(key, type_, present) for key, type_ in types.items())
    conditions = [
        f"NOT EXISTS (SELECT 1 FROM {BURIED} AS b WHERE b.leaf = e.{quoted(leaf)})"
        for leaf in sorted(present)
        if leaf.startswith("leaf_")
    ]
    if as_of.time is not None:
        conditions.append(f"e.known_at <= TIMESTAMPTZ {text(as_of.time.isoformat())}")
    if as_of.offset is not None:
        conditions.append(f'e."offset" <= {as_of.offset}')
    return (
        f"SELECT {columns} FROM {parquet(files)} AS e WHERE {' AND '.join(conditions or ['TRUE'])}"
    )


def _column(name: str, type_: str, present: Container[str]) -> str:
    """Select a column; one that was declared after the rows were kept is null."""
    if name in present:
        return quoted(name)
    return f"NULL::{type_} AS {quoted(name)}"


def timeline_sql(kind: EntityType, rows: str) -> str:
    """Return a SELECT of the stretches of time that some known rows make.

    Of the rows of one key and ``valid_from`` the last known counts; a stretch ends where the next
    of its key begins.
    """
    keys = ", ".join(map(quoted, kind.definition.key))
    columns = ", ".join(quoted(column.name) for column in kind.columns)
    last = f'PARTITION BY {keys}, valid_from ORDER BY known_at DESC, "offset" DESC'
    return (
        f"SELECT {columns}, valid_from,"
        f" lead(valid_from) OVER (PARTITION BY {keys} ORDER BY valid_from) AS valid_to, known_at"
        f" FROM (SELECT * FROM ({rows}) QUALIFY row_number() OVER ({last}) = 1)"
    )


def _of_key(kind: EntityType, key: Mapping[str, Any] | None) -> tuple[str, list[Any]]:
    if key is None:
        return "TRUE", []
    wanted = kind.definition.key
    if set(key) != set(wanted):
        hint = "it is named by " + ", ".join(wanted)
        raise InputError(f"not a key of {kind.name!r}", f"entities.{kind.name}.key", hint)
    types = {name: sql_type(kind.definition.properties[name]) for name in wanted}
    condition = " AND ".join(f"{quoted(name)} = try_cast(? AS {types[name]})" for name in wanted)
    return condition, [str(key[name]) for name in wanted]
