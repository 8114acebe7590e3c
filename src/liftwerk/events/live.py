"""What this process tells by itself, of people whom it knows by their keys alone.

Decisions that were made live are one more source: they are copied into the inbox. A copy that was
made twice (after a kill) has the same id, and is dropped as any duplicate.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from liftwerk.definitions.project import Project
from liftwerk.events.admit import admit
from liftwerk.events.definition import LIVE
from liftwerk.events.engine import connect
from liftwerk.events.schema import Schema, schema_of
from liftwerk.events.sequence import identifiers
from liftwerk.store.inbox.protocol import InboxRow, Rejected
from liftwerk.store.instants import to_microseconds
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

DECISION = "decision_made"
BATCH = 50_000


class Copied(NamedTuple):
    """The offset up to which decisions are copied, and reason -> how many were refused."""

    offset: int
    refused: dict[str, int]


def copy_live_decisions(schema: Schema, stores: Stores, snapshot: Snapshot) -> Copied:
    """Append what the decision store recorded since the snapshot to the inbox.

    Parameters
    ----------
    schema : Schema
    stores : Stores
    snapshot : Snapshot
        Says up to where it was done before.

    Returns
    -------
    Copied
        For the next snapshot.
    """
    after = snapshot.decisions_offset
    refused: Counter[str] = Counter()
    while True:
        records = stores.decisions.read(after, BATCH).to_pylist()
        if not records:
            return Copied(after, dict(refused))
        namespaces = namespaces_of(schema, stores, snapshot, {one["unit"] for one in records})
        rows, rejected = [], []
        for record in records:
            row, reason = _row(schema, record, namespaces)
            if row is not None:
                rows.append(row)
            else:
                rejected.append(_rejected(record, reason, namespaces))
                refused[reason] += 1
        if rejected:
            stores.inbox.quarantine_put(rejected)
        if rows:
            stores.inbox.append(rows)
        after = records[-1]["offset"]


def append_told(
    project: Project,
    stores: Stores,
    name: str,
    told: Sequence[tuple[bytes, bytes]],
    at: datetime,
) -> int:
    """Append events that this process tells of people whom it knows by their leaf keys alone.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        The event's name.
    told : sequence of (bytes, bytes)
        Leaf key and envelope, without identifiers. What is told of the erased is left out.
    at : datetime
        The time of receipt.

    Returns
    -------
    int
        How many were appended.
    """
    schema = schema_of(project)
    gone = stores.ledger.buried()
    known = [(leaf, envelope) for leaf, envelope in told if leaf not in gone]
    if not known:
        return 0
    units = {leaf for leaf, _ in known}
    namespaces = namespaces_of(schema, stores, stores.ledger.latest_snapshot(), units)
    rows = []
    for leaf, envelope in known:
        row, reason = row_about(schema, name, envelope, {namespaces[leaf]: leaf.hex()}, at)
        assert row is not None, reason
        rows.append(row)
    stores.inbox.append(rows)
    return len(rows)


def _row(
    schema: Schema, record: dict[str, Any], namespaces: dict[bytes, str]
) -> tuple[InboxRow | None, str]:
    leaves = _leaves(record, namespaces)
    return row_about(schema, DECISION, _envelope(schema, record), leaves, record["at"])


def row_about(
    schema: Schema, name: str, envelope: bytes, leaves: Mapping[str, str], at: datetime
) -> tuple[InboxRow | None, str]:
    """Make an event that this process tells of somebody whom it knows by a leaf key alone.

    Parameters
    ----------
    schema : Schema
    name : str
        The event's name.
    envelope : bytes
        The event, without identifiers.
    leaves : mapping of str to str
        Namespace -> leaf key in hexadecimal digits; empty where it is about nobody.
    at : datetime
        The time of receipt.

    Returns
    -------
    tuple of InboxRow or None, and str
        Without a row the reason why.
    """
    admitted = admit([envelope], schema, LIVE, at)
    row = admitted.rows[0]
    if row is None:
        return None, admitted.refused[0].reason
    # The unit is known by its key alone; no door lets anybody else say ``leaves``.
    body = row.body[:-1] + b',"leaves":' + msgspec.json.encode(leaves) + b"}"
    return InboxRow(row.event_id, name, to_microseconds(at), body), ""


def _rejected(record: dict[str, Any], reason: str, namespaces: dict[bytes, str]) -> Rejected:
    """Keep what was refused with its unit beside it, so that an erasure finds it."""
    said = record["body"].decode("utf-8", errors="replace")
    body = msgspec.json.encode({"leaves": _leaves(record, namespaces), "said": said})
    return Rejected(LIVE, record["at"], reason, f"id {uuid.UUID(bytes=record['id'])}", body)


def _leaves(record: dict[str, Any], namespaces: dict[bytes, str]) -> dict[str, str]:
    return {namespaces[record["unit"]]: record["unit"].hex()}


def _envelope(schema: Schema, record: dict[str, Any]) -> bytes:
    """Return the event that a record's body is, or make one of what it says."""
    said = msgspec.json.decode(record["body"])
    if not isinstance(said, dict):
        return bytes(record["body"])
    envelope = {key: said[key] for key in ("consent", "properties") if key in said}
    properties = said.get("properties", said)
    declared = schema.types[DECISION].definition
    envelope["properties"] = {
        key: value
        for key, value in properties.items()
        if key in declared.properties and value is not None
    }
    envelope["properties"].setdefault("unit", record["unit"].hex())
    envelope.update(
        name=DECISION,
        version=declared.version,
        id=str(uuid.UUID(bytes=record["id"])),
        time=record["at"],
    )
    return msgspec.json.encode(envelope)


def namespaces_of(
    schema: Schema, stores: Stores, snapshot: Snapshot | None, units: set[bytes]
) -> dict[bytes, str]:
    """Say which namespace each unit's key is of; unknown ones count as the first declared."""
    found = dict.fromkeys(units, next(iter(schema.namespaces)))
    if len(schema.namespaces) == 1:
        return found
    known = identifiers(stores, snapshot)
    sql = f"SELECT leaf, namespace FROM {known} WHERE leaf IN (SELECT unnest(?::BLOB[]))"
    rows = connect().execute(sql, [sorted(units)]).fetchall()
    return {**found, **dict(rows)}
