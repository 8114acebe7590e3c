"""What this room keeps of a customer, told as plain values: events as they were sent."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.events.about import has_identifier, places_about
from liftwerk.events.columns import LEAF, leaf_columns
from liftwerk.events.engine import connect, quoted
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.read import relations
from liftwerk.events.schema import EventType, schema_of
from liftwerk.events.sequence import ENTITY_TABLE, parquet
from liftwerk.money import exponent
from liftwerk.privacy.definition import ACCESS
from liftwerk.store.catalogue import Subject
from liftwerk.store.stores import Stores

PAGE = 10_000

INNER = ("customer_bucket", "digest", "month")
"""Columns that say where a row lies, and nothing about anybody."""

Row = dict[str, Any]


def export_inbox(project: Project, stores: Stores, subject: Subject) -> list[Row]:
    """Tell of events that wait to be sorted into tables."""
    schema = schema_of(project)
    keys = frozenset(subject.keys)
    found: list[Row] = []
    after = 0
    while True:
        rows = stores.inbox.read(after, PAGE).to_pylist()
        if not rows:
            return found
        after = rows[-1]["offset"]
        found += [
            msgspec.json.decode(row["body"])
            for row in rows
            if has_identifier(schema, row["body"], keys)
        ]


def export_quarantine(project: Project, stores: Stores, subject: Subject) -> list[Row]:
    """Tell of what was refused and names the customer."""
    schema = schema_of(project)
    found: list[Row] = []
    after = 0
    while True:
        page = stores.inbox.quarantine_list(after, PAGE)
        if not page:
            return found
        after = page[-1].number
        places = places_about(schema, [kept.rejected.body for kept in page], subject)
        found += [
            {
                "source": one.source,
                "received": one.received.isoformat(),
                "reason": one.reason,
                "body": one.body.decode("utf-8", errors="replace"),
            }
            for one in (page[place].rejected for place in places)
        ]


def export_delivery(stores: Stores, subject: Subject) -> list[Row]:
    """Tell for whom something waits sealed, and how long; nothing but the sending opens it."""
    return [
        {
            "destination": one.destination,
            "id": str(uuid.UUID(bytes=one.event_id)),
            "state": "sealed",
            "until": one.expires.isoformat(),
        }
        for one in stores.outbox.sealed_about(subject.keys)
    ]


def export_events(project: Project, stores: Stores, subject: Subject) -> list[Row]:
    """Tell of every event that carries one of the customer's identifiers, in the log's order."""
    schema = schema_of(project)
    is_theirs = " OR ".join(
        f"{quoted(leaf)} IN (SELECT leaf FROM _asked)" for leaf in leaf_columns(schema)
    )
    if not is_theirs:
        return []
    asked = pyarrow.table({"leaf": pyarrow.array(subject.keys, pyarrow.binary())})
    found: list[tuple[int, Row]] = []
    with relations(project, stores, ACCESS, beside={"_asked": asked}) as connection:
        for name, kind in schema.types.items():
            rows = connection.sql(f"SELECT * FROM {quoted(name)} WHERE {is_theirs}")
            found += [
                (row["offset"], _told(kind, row, schema.currency))
                for row in rows.to_arrow_table().to_pylist()
            ]
    return [row for _, row in sorted(found, key=lambda one: one[0])]


def export_entities(stores: Stores, subject: Subject) -> list[Row]:
    """Tell of rows of reference data that are about the customer."""
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return []
    found: list[Row] = []
    with stores.tables.reading():
        for table, version in sorted(snapshot.tables.items()):
            names = stores.tables.schema(table, version).names
            leaves = [name for name in names if name.startswith(LEAF)]
            files = stores.tables.files(table, version)
            if not table.endswith(ENTITY_TABLE) or not leaves or not files:
                continue
            is_theirs = " OR ".join(f"list_contains(?1::BLOB[], {quoted(one)})" for one in leaves)
            sql = f"SELECT * FROM {parquet(files)} WHERE {is_theirs}"
            rows = connect().execute(sql, [list(subject.keys)]).to_arrow_table().to_pylist()
            entity = table.removesuffix(ENTITY_TABLE)
            found += [
                {"entity": entity}
                | {key: _plain(one) for key, one in row.items() if key not in (*INNER, *leaves)}
                for row in rows
            ]
    return found


def _told(kind: EventType, row: Row, currency: str) -> Row:
    declared = kind.definition.properties
    properties = {
        key: _value(row.pop(key), one, currency)
        for key, one in declared.items()
        if key in row and row[key] is not None
    }
    envelope: Row = {"event": kind.name}
    for key, value in row.items():
        inner = key in INNER or key.startswith(LEAF) or key.endswith("_currency")
        if value is not None and not inner:
            envelope[key] = _plain(value)
    if row.get("context"):
        envelope["context"] = msgspec.json.decode(row["context"])
    return {**envelope, "properties": properties}


def _value(value: Any, definition: PropertyDefinition, currency: str) -> Any:
    """Write a property as it was sent: money as a decimal text."""
    if definition.type == "money":
        return _money(value, currency)
    if definition.type == "list" and definition.of == "money":
        return [_money(one, currency) for one in value]
    if definition.type == "list" and isinstance(definition.of, dict):
        kinds = definition.of
        return [
            {
                key: _money(one, currency) if kinds.get(key) == "money" else _plain(one)
                for key, one in item.items()
            }
            for item in value
        ]
    return _plain(value)


def _money(minor: int | None, currency: str) -> str | None:
    if minor is None:
        return None
    return f"{Decimal(minor).scaleb(-exponent(currency)):f} {currency}"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes) and len(value) == 16:
        return str(uuid.UUID(bytes=value))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value
