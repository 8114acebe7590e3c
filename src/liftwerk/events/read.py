"""The one scan: events of the latest snapshot, for a purpose, as of what was known.

Nothing else in the project reads events. The rule of `liftwerk.privacy.permitted` is compiled into
every scan, with the withdrawals known by then. A project's purpose further sees no test traffic
(whose changes of consent are nobody's), no customer whose erasure has begun, and each conversion
once. The built-in purposes see every row.

Events with the same ``unique`` key tell of one conversion, whichever source or version they came
by. Among those that may be read and are known, the best counts: one that was seen before one that
was modelled, then the surest source (`liftwerk.events.scan.TRUST_ORDER`), then the one known first.
What may not be read for a purpose takes no other's place there. The others stay, and
``superseded`` shows them.

A reader that cannot wait for the sequencer hands in a `liftwerk.events.tail`: then the same rules
hold over what is compacted and what is not yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TypeAlias

import duckdb
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.columns import leaf_columns
from liftwerk.events.engine import connect, connect_for_few, quoted, text
from liftwerk.events.scan import BURIED, LEAVES, WITHDRAWALS, Scans, bounds_of
from liftwerk.events.schema import EventType, Schema, schema_of
from liftwerk.events.sequence import identifiers
from liftwerk.events.state import Relation, State, Wanted
from liftwerk.events.tail import Behind
from liftwerk.privacy.definition import HOUSEKEEPING, PURPOSES, Purpose
from liftwerk.privacy.permitted import NOW, AsOf, withdrawals_sql
from liftwerk.store.stores import Stores

ERASURE = "erasure"
"""The one purpose for which those are still found who are being erased."""

_CHANGES = "_changes_of_consent"

OneCustomer: TypeAlias = Callable[[pyarrow.ChunkedArray], pyarrow.Table]


def read(
    project: Project,
    stores: Stores,
    name: str,
    purpose: str,
    columns: Sequence[str] | None = None,
    as_of: AsOf = NOW,
    derived: Mapping[str, str] | None = None,
    beside: Mapping[str, pyarrow.Table] | None = None,
    one_customer: OneCustomer | None = None,
) -> pyarrow.Table:
    """Read the events of one kind that may be read.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        The event.
    purpose : str
        A declared purpose, or one of the built-in ones.
    columns : sequence of str, optional
        Columns to return, in this order; all by default (`liftwerk.events.columns`).
    as_of : AsOf
        What the reader may know: later events and withdrawals are left out.
    derived : mapping of str to str, optional
        Further columns, as SQL over the event's own.
    beside : mapping of str to pyarrow.Table, optional
        Relations that this SQL may read.
    one_customer : callable, optional
        Given leaf keys, returns ``leaf`` and ``other``: each with the others that are one customer
        with it. A change of consent that names one leaf of a customer is about all of them.

    Returns
    -------
    pyarrow.Table
        In the order of the log. Money is in minor units.

    Raises
    ------
    UnknownName
        If the event, the purpose or a column is not declared.
    """
    with relations(
        project, stores, purpose, as_of, derived, [name], beside, one_customer
    ) as connection:
        known = connection.sql(f"SELECT * FROM {quoted(name)}").columns
        for column in columns or ():
            if column not in known:
                hint = did_you_mean(column, known)
                raise UnknownName(f"no column {column!r}", f"events.{name}", hint)
        wanted = ", ".join(map(quoted, columns or known))
        return connection.sql(
            f'SELECT {wanted} FROM {quoted(name)} ORDER BY {quoted(name)}."offset"'
        ).to_arrow_table()


@contextmanager
def relations(
    project: Project,
    stores: Stores,
    purpose: str,
    as_of: AsOf = NOW,
    derived: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    beside: Mapping[str, pyarrow.Table] | None = None,
    one_customer: OneCustomer | None = None,
    superseded: bool = False,
    tail: Behind | None = None,
    leaves: pyarrow.Array | pyarrow.ChunkedArray | None = None,
    after_offset: int | None = None,
    refused: bool = False,
    held: bool = False,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection in which each event is a view of what may be read of it.

    Parameters
    ----------
    project : Project
    stores : Stores
    purpose : str
        A declared purpose, or one of the built-in ones.
    as_of : AsOf
        What the reader may know.
    derived : mapping of str to str, optional
        Further columns of every view, as SQL over the event's own.
    names : sequence of str, optional
        Only these events; all known ones by default.
    beside : mapping of str to pyarrow.Table, optional
        Further relations of the connection, which ``derived`` may read; name them with a ``_``.
    one_customer : callable, optional
        Given leaf keys, returns ``leaf`` and ``other``: each with the others that are one customer
        with it. A change of consent that names one leaf of a customer is about all of them.
    superseded : bool
        Keep every report of a conversion, with ``superseded_at`` and ``superseded_by`` (when a
        better one was known, and the best one's id): for reading as of many times, each of which
        knows another one as the best.
    tail : Behind, optional
        What came in behind the snapshot, from `liftwerk.events.tail.Tail.reading`, which is to be
        open: the views hold its rows beside those of its snapshot's tables, under the same rule.
    leaves : pyarrow.Array or pyarrow.ChunkedArray, optional
        Leaf keys (binary): only rows that name one of them in any namespace. Of few keys only the
        files that hold them are read.
    after_offset : int, optional
        Only rows behind this one.
    refused : bool
        Beside each view one named `refused_name`, of the rows that may not be read for the purpose:
        to say why there is nothing.
    held : bool
        Whether the views are tables: of few rows that are read again and again.

    Yields
    ------
    duckdb.DuckDBPyConnection
        Its views have the events' names. No file is removed while it is open.

    Raises
    ------
    UnknownName
        If the purpose or an event is not declared.

    Notes
    -----
    ``leaves`` and ``after_offset`` choose among the rows that may be read and count; they change
    neither. Withdrawals and grants of everybody and of any offset are heard, and a report of a
    conversion is held against all others of it, whoever they name and however old they are. With
    ``superseded``, where every report is kept, those are behind an offset whose conversion has a
    report behind it: an older one that a newer one supersedes is among them. What a withdrawal or
    an erasure behind the offset took away is not told.
    """
    schema = schema_of(project)
    basis = purpose_named(project, purpose)
    kinds = [event_named(schema, name) for name in names or schema.types]
    wanted = Wanted(leaves, after_offset)
    with stores.tables.reading(), _connected(tail, after_offset) as connection:
        state = State(stores, connection, tail)
        _bury(connection, stores, purpose)
        _hear(connection, schema, state, purpose, basis, one_customer, as_of)
        if leaves is not None:
            connection.register("_held", pyarrow.table({"leaf": leaves}))
            connection.execute(f"CREATE TABLE {LEAVES} AS SELECT DISTINCT leaf FROM _held")
            connection.unregister("_held")
        for key, table in (beside or {}).items():
            connection.register("_held", table)
            connection.execute(f"CREATE TABLE {quoted(key)} AS SELECT * FROM _held")
            connection.unregister("_held")
        made_as = "TABLE" if held else "VIEW"
        for kind in kinds:
            scans = Scans(connection, schema, state, kind, purpose, basis, as_of, wanted)
            if held:
                scans.hold()
            scan = scans.once(superseded)
            extra = "".join(f", {sql} AS {quoted(key)}" for key, sql in (derived or {}).items())
            made = {kind.name: scan}
            if refused:
                made[refused_name(kind.name)] = scans.refused()
            for view, rows in made.items():
                connection.execute(
                    f"CREATE {made_as} {quoted(view)} AS SELECT *{extra} FROM ({rows})"
                )
        yield connection


def _connected(
    tail: Behind | None, after_offset: int | None
) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """Open a connection: a small one where all rows that are wanted are in memory."""
    if tail is None or after_offset is None or after_offset < tail.since:
        return closing(connect())
    return connect_for_few()


def refused_name(event: str) -> str:
    """Name the view of an event's rows that may not be read.

    Examples
    --------
    >>> refused_name("order")
    '_refused_order'
    """
    return f"_refused_{event}"


def purpose_named(project: Project, name: str) -> Purpose:
    """Return a declared or built-in purpose.

    Raises
    ------
    UnknownName
        If there is none.
    """
    known = {**HOUSEKEEPING, **project.get(PURPOSES)}
    if name not in known:
        raise UnknownName(
            f"no purpose {name!r}", "[purposes]", did_you_mean(name, project.get(PURPOSES))
        )
    return known[name]


def event_named(schema: Schema, name: str) -> EventType:
    """Return a known event.

    Raises
    ------
    UnknownName
        If there is none.
    """
    if name not in schema.types:
        raise UnknownName(f"no event {name!r}", "[events]", did_you_mean(name, schema.types))
    return schema.types[name]


def _bury(connection: duckdb.DuckDBPyConnection, stores: Stores, purpose: str) -> None:
    """Make the relation of those whom no scan finds."""
    connection.execute(f"CREATE TABLE {BURIED} (leaf BLOB)")
    buried = stores.ledger.buried()
    if purpose == ERASURE:
        buried -= {leaf for one in stores.ledger.erasing() for leaf in one.leaves}
    if buried:
        connection.execute(f"INSERT INTO {BURIED} SELECT unnest(?::BLOB[])", [sorted(buried)])


def _hear(
    connection: duckdb.DuckDBPyConnection,
    schema: Schema,
    state: State,
    name: str,
    purpose: Purpose,
    one_customer: OneCustomer | None,
    as_of: AsOf,
) -> None:
    """Make the relation of the withdrawals of a purpose, that every scan is held against."""
    leaves = leaf_columns(schema)
    if purpose.can_be_withdrawn:
        _read_changes(connection, schema, state, name)
    said = {side: quoted(f"_said_{side}") for side in ("withdrawn", "granted")}
    for side, relation in said.items():
        selects = [
            "SELECT NULL::BLOB AS leaf, NULL::VARCHAR AS purpose, NULL::TIMESTAMPTZ AS time,"
            ' NULL::TIMESTAMPTZ AS known_at, NULL::BIGINT AS "offset" WHERE FALSE'
        ]
        if purpose.can_be_withdrawn:
            selects += [
                f"SELECT {quoted(leaf)} AS leaf, {text(name)} AS purpose, time, known_at,"
                f' "offset" FROM {_CHANGES} WHERE {quoted(leaf)} IS NOT NULL AND {side}'
                for leaf in leaves
            ]
        connection.execute(f"CREATE TABLE {relation} AS {' UNION ALL '.join(selects)}")
        if one_customer is not None:
            _about_all_leaves(connection, relation, one_customer)
    bounds = bounds_of(as_of)
    known = withdrawals_sql(
        name,
        said["withdrawn"],
        said["granted"],
        as_of_time=bounds.get("known_at"),
        as_of_offset=bounds.get("offset"),
    )
    connection.execute(f"CREATE TABLE {WITHDRAWALS} AS {known}")


def _read_changes(
    connection: duckdb.DuckDBPyConnection, schema: Schema, state: State, name: str
) -> None:
    """Make the relation of the changes of consent that name a purpose: their files are read once.

    ``withdrawn`` and ``granted`` say which of the two they tell of it.
    """
    sides = ("withdrawn", "granted")
    columns = ["time", "known_at", '"offset"', *map(quoted, leaf_columns(schema))]
    named = {side: f"coalesce(list_contains({side}, {text(name)}), FALSE)" for side in sides}
    nothing = [f"NULL::TIMESTAMPTZ AS {one}" for one in columns[:2]]
    nothing += [f"NULL::BIGINT AS {columns[2]}", *(f"NULL::BLOB AS {one}" for one in columns[3:])]
    selects = [f"SELECT {', '.join(nothing)}, FALSE AS withdrawn, FALSE AS granted WHERE FALSE"]
    for changes in state.relations(schema.types["consent_changed"]):
        read = [*columns[:3], *(_present(leaf, changes) for leaf in leaf_columns(schema))]
        said = ", ".join(f"{sql} AS {side}" for side, sql in named.items())
        selects.append(
            f"SELECT {', '.join(read)}, {said} FROM {changes.sql}"
            f" WHERE NOT synthetic AND ({' OR '.join(named.values())})"
        )
    connection.execute(f"CREATE TABLE {_CHANGES} AS {' UNION ALL '.join(selects)}")


def _present(leaf: str, relation: Relation) -> str:
    """Write a column of leaf keys, also where a file is older than its namespace."""
    if leaf in relation.present:
        return quoted(leaf)
    return f"NULL::BLOB AS {quoted(leaf)}"


def _about_all_leaves(
    connection: duckdb.DuckDBPyConnection, relation: str, one_customer: OneCustomer
) -> None:
    """Let a change of consent that names one leaf of a customer name each of them."""
    named = connection.sql(f"SELECT DISTINCT leaf FROM {relation}").to_arrow_table()
    if named.num_rows == 0:
        return
    connection.register("_one_customer", one_customer(named.column("leaf")))
    connection.execute(
        f"""
        INSERT INTO {relation} BY NAME
        SELECT other AS leaf, * EXCLUDE (leaf, other)
        FROM {relation} JOIN _one_customer USING (leaf)
        """
    )
    connection.unregister("_one_customer")


def identifier_values(
    project: Project, stores: Stores, purpose: str, leaves: Sequence[bytes] | None = None
) -> pyarrow.Table:
    """Say which identifiers leaf keys were made from, to reach customers or to show them.

    Parameters
    ----------
    project : Project
    stores : Stores
    purpose : str
        A declared purpose, or one of the built-in ones.
    leaves : sequence of bytes, optional
        Only these keys.

    Returns
    -------
    pyarrow.Table
        ``leaf`` binary, ``namespace`` string, ``value`` string, in the order of the keys. Who was
        erased is not in it.
    """
    purpose_named(project, purpose)
    with stores.tables.reading():
        connection = connect()
        state = State(stores, connection)
        _bury(connection, stores, purpose)
        asked = ""
        if leaves is not None:
            connection.register(
                "asked", pyarrow.table({"leaf": pyarrow.array(leaves, pyarrow.binary())})
            )
            asked = " AND leaf IN (SELECT leaf FROM asked)"
        return connection.sql(
            f"SELECT leaf, namespace, value FROM {identifiers(stores, state.snapshot)}"
            f" WHERE leaf NOT IN (SELECT leaf FROM {BURIED}){asked} ORDER BY leaf, namespace"
        ).to_arrow_table()
