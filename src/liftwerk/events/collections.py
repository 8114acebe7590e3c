"""What this room keeps about people, and how they are taken out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import structs

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.columns import LEAF, leaf_columns
from liftwerk.events.definition import known_events
from liftwerk.events.engine import connect, quoted
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.schema import Schema, schema_of
from liftwerk.events.sequence import VALUES_TABLE, parquet
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.catalogue import Collection
from liftwerk.store.stores import Stores

ACTOR = "erasure"
PAGE = 10_000
_WORD = re.compile(r"[^\s\"',:;{}\[\]]+")


def register_collections(project: Project, stores: Stores, clock: Clock) -> None:
    """Add the room's collections to the catalogue of some stores, once.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
        For the snapshot that an erasure makes.
    """
    if "events" in {collection.name for collection in stores.catalogue}:
        return
    schema = schema_of(project)
    stores.catalogue.register(
        Collection(
            name="inbox",
            room="events",
            holds=("inbox.sqlite/inbox",),
            subject="identifiers in the event's JSON",
            purposes=("deduplication",),
            retention="until it rests in the event tables",
            erase=lambda keys: _from_inbox(schema, stores, frozenset(keys)),
        )
    )
    stores.catalogue.register(
        Collection(
            name="quarantine",
            room="events",
            holds=("inbox.sqlite/quarantine",),
            subject="identifiers in what was refused",
            purposes=("audit",),
            retention="until it is mended or dropped",
            erase=lambda keys: _from_quarantine(schema, stores, frozenset(keys)),
        )
    )
    longest = ", ".join(
        f"{name}: {definition.retention}"
        for name, definition in known_events(project).items()
        if definition.retention is not None
    )
    stores.catalogue.register(
        Collection(
            name="events",
            room="events",
            holds=("tables/*",),
            subject=", ".join(leaf_columns(schema)),
            purposes=tuple(project.get(PURPOSES)),
            retention=longest or "as long as the project",
            erase=lambda keys: _from_tables(stores, clock, keys),
        )
    )


def _from_inbox(schema: Schema, stores: Stores, keys: frozenset[bytes]) -> int:
    found: list[int] = []
    after = 0
    while True:
        rows = stores.inbox.read(after, PAGE)
        if rows.num_rows == 0:
            return stores.inbox.erase(found)
        for offset, body in zip(
            rows.column("offset").to_pylist(), rows.column("body").to_pylist(), strict=True
        ):
            if is_about(schema, body, keys):
                found.append(offset)
            after = offset


def _from_quarantine(schema: Schema, stores: Stores, keys: frozenset[bytes]) -> int:
    found: list[int] = []
    after = 0
    while True:
        page = stores.inbox.quarantine_list(after, PAGE)
        if not page:
            return stores.inbox.quarantine_erase(found)
        for kept in page:
            if is_about(schema, kept.rejected.body, keys):
                found.append(kept.number)
            after = kept.number


def _from_tables(stores: Stores, clock: Clock, keys: Sequence[bytes]) -> int:
    """Write the tables without the rows, name them in a snapshot, then remove the old files."""
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return 0
    stores.tables.restore(snapshot.tables)
    versions = dict(snapshot.tables)
    gone = 0
    for table, version in snapshot.tables.items():
        columns = _key_columns(stores, table, version)
        gone += _count(stores.tables.files(table, version), columns, keys)
        for column in columns:
            deleted = stores.tables.delete_rows(table, column, keys)
            if deleted is not None:
                versions[table] = deleted
    if versions != snapshot.tables:
        now = clock.now()
        without = structs.replace(snapshot, tables=versions, at=now)
        with stores.ledger.change(ACTOR, "events.erase", without.id, {"rows": gone}, now) as change:
            stores.ledger.put_snapshot(change, without)
    # Also when no row was left: a kill may have come between the snapshot and this.
    for table in versions:
        stores.tables.purge(table)
    return gone


def _key_columns(stores: Stores, table: str, version: int) -> list[str]:
    """Name the columns that say who, also of namespaces that are no longer declared."""
    if table == VALUES_TABLE:
        return ["leaf"]
    names = stores.tables.schema(table, version).names
    return [name for name in names if name.startswith(LEAF)]


def _count(files: Sequence[str], columns: Sequence[str], keys: Sequence[bytes]) -> int:
    if not files or not columns:
        return 0
    is_one = " OR ".join(f"list_contains(?1::BLOB[], {quoted(column)})" for column in columns)
    sql = f"SELECT count(*) FROM {parquet(files)} WHERE {is_one}"
    [(count,)] = connect().execute(sql, [list(keys)]).fetchall()
    return int(count)


def is_about(schema: Schema, body: bytes, keys: frozenset[bytes]) -> bool:
    """Say whether a body names one of the keys' identifiers, however it is spelled there.

    What is no JSON has no fields to look at: every word in it is tried.
    """
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        words = _WORD.findall(body.decode("utf-8", errors="replace"))
        return any(leaf in keys for word in words for leaf in _leaves(schema, word))
    if not isinstance(said, dict):
        return False
    return any(leaf in keys for leaf in _named(schema, said))


def _named(schema: Schema, said: dict[str, Any]) -> Iterator[bytes]:
    identifiers = said.get("identifiers")
    if isinstance(identifiers, dict):
        for value in identifiers.values():
            yield from _leaves(schema, str(value))
    leaves = said.get("leaves")
    if isinstance(leaves, dict):
        yield from (bytes.fromhex(leaf) for leaf in leaves.values())


def _leaves(schema: Schema, value: str) -> Iterator[bytes]:
    """Make the keys that a value would have in every namespace."""
    for name, namespace in schema.namespaces.items():
        try:
            yield leaf_key(name, namespace.spell(value))
        except ValueError:
            continue
