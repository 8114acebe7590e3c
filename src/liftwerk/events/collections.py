"""What this room keeps about people, and how they are taken out of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from msgspec import structs

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Retention
from liftwerk.events.about import has_identifier, places_about
from liftwerk.events.columns import LEAF, leaf_columns
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES, EntityDefinition
from liftwerk.events.export import (
    export_delivery,
    export_entities,
    export_events,
    export_inbox,
    export_quarantine,
)
from liftwerk.events.schema import Schema, schema_of
from liftwerk.events.sequence import ENTITY_TABLE, VALUES_TABLE
from liftwerk.events.spared import SPARED, spare_body, spare_rows
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.catalogue import NOBODY, Collection, Subject, Taken
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores

ACTOR = "erasure"
PAGE = 10_000


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
            erase=lambda subject: _from_inbox(schema, stores, subject),
            export=lambda subject: export_inbox(project, stores, subject),
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
            erase=lambda subject: _from_quarantine(schema, stores, subject),
            export=lambda subject: export_quarantine(project, stores, subject),
        )
    )
    stores.catalogue.register(
        Collection(
            name="delivery fields",
            room="events",
            holds=("outbox.sqlite/sealed",),
            subject="leaves",
            purposes=tuple(project.get(PURPOSES)),
            retention="until the event is sent; as long as its destination says, at most 7 days",
            erase=lambda subject: Taken({"leaves": stores.outbox.erase_sealed(subject.keys)}),
            export=lambda subject: export_delivery(stores, subject),
        )
    )
    entities = project.get(ENTITIES)
    stores.catalogue.register(
        Collection(
            name="entities",
            room="events",
            holds=(f"tables/*{ENTITY_TABLE}",),
            subject=_people(entities),
            purposes=tuple(project.get(PURPOSES)),
            retention=_longest({name: one.retention for name, one in entities.items()}),
            erase=lambda subject: _from_tables(schema, stores, clock, subject, is_entity=True),
            export=lambda subject: export_entities(stores, subject),
        )
    )
    stores.catalogue.register(
        Collection(
            name="events",
            room="events",
            holds=("tables/*",),
            subject=", ".join(leaf_columns(schema)),
            purposes=tuple(project.get(PURPOSES)),
            retention=_longest({name: e.retention for name, e in known_events(project).items()}),
            erase=lambda subject: _from_tables(schema, stores, clock, subject, is_entity=False),
            export=lambda subject: export_events(project, stores, subject),
        )
    )


def _longest(retentions: Mapping[str, Retention | None]) -> str:
    """Say how long each is kept, where it is said."""
    said = ", ".join(f"{name}: {one}" for name, one in retentions.items() if one is not None)
    if not said:
        return "as long as the project"
    return said


def _people(entities: Mapping[str, EntityDefinition]) -> str:
    """Name the columns that say whom an entity is about."""
    leaves = [f"{LEAF}{name}" for one in entities.values() for name in one.person]
    if not leaves:
        return NOBODY
    return ", ".join(dict.fromkeys(leaves))


def _from_inbox(schema: Schema, stores: Stores, subject: Subject) -> Taken:
    keys = frozenset(subject.keys)
    found: list[int] = []
    spared: dict[int, bytes] = {}
    after = read = 0
    while True:
        rows = stores.inbox.read(after, PAGE)
        if rows.num_rows == 0:
            many = stores.inbox.replace(spared) + stores.inbox.erase(found)
            return Taken({"identifiers": many}, read, read)
        read += rows.num_rows
        for offset, body in zip(
            rows.column("offset").to_pylist(), rows.column("body").to_pylist(), strict=True
        ):
            if has_identifier(schema, body, keys):
                left = spare_body(schema, body, keys)
                if left is None:
                    found.append(offset)
                else:
                    spared[offset] = left
            after = offset


def _from_quarantine(schema: Schema, stores: Stores, subject: Subject) -> Taken:
    found: list[int] = []
    spared: list[Rejected] = []
    after = read = 0
    keys = frozenset(subject.keys)
    while True:
        page = stores.inbox.quarantine_list(after, PAGE)
        if not page:
            # Before the others go: a kill between the two leaves both.
            stores.inbox.quarantine_put(spared)
            return Taken({"body": stores.inbox.quarantine_erase(found)}, read, read)
        read += len(page)
        bodies = [kept.rejected.body for kept in page]
        for place in places_about(schema, bodies, subject):
            found.append(page[place].number)
            left = spare_body(schema, bodies[place], keys)
            # What was refused may name somebody anywhere: then it goes whole.
            if left is not None and not places_about(schema, [left], subject):
                spared.append(structs.replace(page[place].rejected, body=left))
        after = page[-1].number


def _from_tables(
    schema: Schema, stores: Stores, clock: Clock, subject: Subject, *, is_entity: bool
) -> Taken:
    """Write the tables without the rows, name them in a snapshot, then remove the old files."""
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return Taken({})
    stores.tables.restore(snapshot.tables)
    versions = dict(snapshot.tables)
    fields: dict[str, int] = {}
    read = rows = 0
    spared = {
        kind.table: partial(spare_rows, schema, name, keys=frozenset(subject.keys))
        for name in SPARED
        for kind in schema.versions(name)
    }
    concerned = {
        table: version
        for table, version in snapshot.tables.items()
        if table.endswith(ENTITY_TABLE) == is_entity
    }
    for table, version in concerned.items():
        columns = _key_columns(stores, table, version)
        done = stores.tables.delete_rows(table, columns, subject.keys, spared.get(table))
        if done.version is not None:
            versions[table] = done.version
        fields |= {f"{table}.{column}": many for column, many in done.rows.items() if many}
        read += done.searched + done.rewritten
        rows += done.of
    if versions != snapshot.tables:
        now = clock.now()
        without = structs.replace(snapshot, tables=versions, at=now)
        detail = {"rows": sum(fields.values())}
        with stores.ledger.change(ACTOR, "events.erase", without.id, detail, now) as change:
            stores.ledger.put_snapshot(change, without)
    # Also when no row was left: a kill may have come between the snapshot and this.
    for table in concerned:
        stores.tables.purge(table)
    return Taken(fields, read, rows)


def _key_columns(stores: Stores, table: str, version: int) -> list[str]:
    """Name the columns that say who, also of namespaces that are no longer declared."""
    if table == VALUES_TABLE:
        return ["leaf"]
    names = stores.tables.schema(table, version).names
    return [name for name in names if name.startswith(LEAF)]
