"""Keep what was declared for as long as was declared: older rows go, older values become null.

It goes by event time and the clock that is handed in. Rows go as in an erasure: the tables without
them are written, a snapshot names these, and the old files and their log are removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

import pyarrow
import pyarrow.compute
from msgspec import Struct, structs

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Retention
from liftwerk.events.columns import LEAF
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.schema import EventType, schema_of
from liftwerk.events.sequence import VALUES_TABLE, parquet
from liftwerk.faults import fault
from liftwerk.store.ledger import Snapshot
from liftwerk.store.stores import Stores

ACTOR = "retention"


class Expired(Struct, frozen=True):
    """What is older than it may be.

    Attributes
    ----------
    event : str
        The event.
    version : int
        Of its schema.
    property : str or None
        The property whose values go; None where whole rows go.
    kept : str
        How long it is kept, as declared.
    before : datetime
        What happened earlier goes.
    rows : int
        How many rows it is.
    """

    event: str
    version: int
    property: str | None
    kept: str
    before: datetime
    rows: int


def expired(project: Project, stores: Stores, now: datetime) -> list[Expired]:
    """List what is older than it may be; nothing is changed.

    Parameters
    ----------
    project : Project
    stores : Stores
    now : datetime
    """
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return []
    found = []
    with stores.tables.reading():
        for kind in _kinds(project):
            if kind.table in snapshot.tables:
                files = stores.tables.files(kind.table, snapshot.tables[kind.table])
                found += [one for one, _ in _expired(kind, files, now)]
    return found


def retain(project: Project, stores: Stores, clock: Clock) -> list[Expired]:
    """Take out what is older than it may be.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    clock : Clock

    Returns
    -------
    list of Expired
        What went. Again at the same time, nothing does.
    """
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return []
    now = clock.now()
    stores.tables.restore(snapshot.tables)
    versions = dict(snapshot.tables)
    gone: list[Expired] = []
    for kind in _kinds(project):
        if kind.table not in versions:
            continue
        due = _expired(kind, stores.tables.files(kind.table, versions[kind.table]), now)
        if due:
            files = sorted({file for _, listed in due for file in listed})
            before = {one.property: one.before for one, _ in due}
            change = partial(_without, before=before)
            versions[kind.table] = stores.tables.rewrite(kind.table, files, change)
            gone += [one for one, _ in due]
    if not gone:
        return []
    if any(one.property is None for one in gone) and VALUES_TABLE in versions:
        versions[VALUES_TABLE] = _without_unseen(stores, versions)
    _put(stores, structs.replace(snapshot, tables=versions, at=now), gone)
    for table in versions:
        stores.tables.purge(table)
    return gone


def _kinds(project: Project) -> list[EventType]:
    schema = schema_of(project)
    return [kind for name in schema.types for kind in schema.versions(name)]


def _expired(
    kind: EventType, files: Sequence[str], now: datetime
) -> list[tuple[Expired, list[str]]]:
    """Say what is due of one table, and in which files it is."""
    declared: dict[str | None, Retention] = {
        name: one.retention
        for name, one in kind.definition.properties.items()
        if one.retention is not None
    }
    if kind.definition.retention is not None:
        declared[None] = kind.definition.retention
    if not declared or not files:
        return []
    connection = connect()
    present = {name for (name, *_) in connection.execute(f"DESCRIBE {_rows(files)}").fetchall()}
    found = []
    for name, kept in declared.items():
        before = kept.before(now)
        condition = f'"time" < TIMESTAMPTZ {text(before.isoformat())}'
        if name is not None:
            if name not in present:
                continue
            condition += f" AND {quoted(name)} IS NOT NULL"
        rows = connection.execute(
            f"SELECT filename, count(*) FROM ({_rows(files)}) WHERE {condition} GROUP BY filename"
        ).fetchall()
        if rows:
            many = sum(count for _, count in rows)
            due = Expired(kind.name, kind.definition.version, name, str(kept), before, many)
            found.append((due, [file for file, _ in rows]))
    return found


def _rows(files: Sequence[str]) -> str:
    listed = ", ".join(text(file) for file in files)
    options = "union_by_name = true, hive_partitioning = false, filename = true"
    return f"SELECT * FROM read_parquet([{listed}], {options})"


def _without(rows: pyarrow.Table, before: Mapping[str | None, datetime]) -> pyarrow.Table:
    """Drop rows that are too old, and the values of properties that are."""
    times = rows.column("time")
    for name, limit in before.items():
        if name is None:
            continue
        is_old = pyarrow.compute.less(times, pyarrow.scalar(limit, times.type))
        for column in (name, f"{name}_currency"):
            if column in rows.column_names:
                place = rows.column_names.index(column)
                field = rows.schema.field(place)
                nothing = pyarrow.scalar(None, field.type)
                kept = pyarrow.compute.if_else(is_old, nothing, rows.column(place))
                rows = rows.set_column(place, field, kept)
    if None in before:
        limit = before[None]
        rows = rows.filter(pyarrow.compute.greater_equal(times, pyarrow.scalar(limit, times.type)))
    return rows


def _without_unseen(stores: Stores, versions: Mapping[str, int]) -> int:
    """Forget the identifiers of which no event is left."""
    tables = stores.tables
    seen = ["SELECT NULL::BLOB AS leaf WHERE FALSE"]
    for table, version in versions.items():
        files = tables.files(table, version)
        if table != VALUES_TABLE and files:
            leaves = [name for name in tables.schema(table, version).names if name.startswith(LEAF)]
            seen += [f"SELECT {quoted(leaf)} FROM {parquet(files)}" for leaf in leaves]
    files = tables.files(VALUES_TABLE, versions[VALUES_TABLE])
    if not files:
        return versions[VALUES_TABLE]
    unseen = connect().execute(f"SELECT leaf FROM {parquet(files)} EXCEPT ({' UNION '.join(seen)})")
    keys = [leaf for (leaf,) in unseen.fetchall()]
    done = tables.delete_rows(VALUES_TABLE, ["leaf"], keys)
    if done.version is None:
        return versions[VALUES_TABLE]
    return done.version


def _put(stores: Stores, snapshot: Snapshot, gone: Sequence[Expired]) -> None:
    detail: dict[str, int] = {}
    for one in gone:
        field = one.event
        if one.property is not None:
            field = f"{one.event}.{one.property}"
        detail[field] = detail.get(field, 0) + one.rows
    with (
        fault("snapshot_commit"),
        stores.ledger.change(ACTOR, "events.retain", snapshot.id, detail, snapshot.at) as change,
    ):
        stores.ledger.put_snapshot(change, snapshot)
