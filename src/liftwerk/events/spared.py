"""What an erasure spares: a refusal that was said of others, too.

An erasure takes rows out whole. A change of consent that names an erased identifier beside one of
somebody else was said of both, and so was the word that tells several identifiers apart. If such a
row went, data of who stays could be used again for what was refused, or be taken for another's. So
it stays for those that are left, and says nothing else: the erased identifiers go out of it, and so
does all that only the sender knows. Whatever else happened is taken whole: of what somebody did,
nothing may be left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow
import pyarrow.compute

from liftwerk.events.columns import LEAF
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.schema import Schema

SPARED: Mapping[str, int] = {"consent_changed": 1, "identity_unlinked": 2}
"""Event -> how many identifiers have to be left so that it still says something."""

_SAID = ("granted", "withdrawn")

_ENVELOPE = (
    "name",
    "id",
    "version",
    "time",
    "source",
    "weight",
    "synthetic",
    "modelled",
    "known_at",
    "sent_at",
)
"""Fields of a body that stay, beside its identifiers and properties."""

_EMPTIED = (
    "session",
    "consent_granted",
    "consent_source",
    "consent_version",
    "consent_at",
    "context",
    "decision",
    # It was made of the erased identifier, too: who has the rest could try out which.
    "digest",
    "pair",
)
"""Columns that hold nothing afterwards."""


def spare_body(schema: Schema, body: bytes, keys: frozenset[bytes]) -> bytes | None:
    """Leave of an event's JSON what it says of others than the erased.

    Parameters
    ----------
    schema : Schema
    body : bytes
        Canonical JSON, as `liftwerk.events.admit` writes it, or what was refused.
    keys : frozenset of bytes
        Leaf keys of the erased.

    Returns
    -------
    bytes or None
        None where nothing is left, so that the event goes whole. Of what was spared before it is
        the same.
    """
    said = _decoded(body)
    if said is None:
        return None
    name = said["name"]
    left = {
        namespace: value
        for namespace, value in said["identifiers"].items()
        if namespace in schema.namespaces
        and isinstance(value, str)
        and not _is_gone(schema, namespace, value, keys)
    }
    properties = _properties(schema, name, said.get("properties"))
    if len(left) < SPARED[name] or properties is None:
        return None
    kept = {**said, "identifiers": left, "properties": properties}
    whole = (*_ENVELOPE, "identifiers", "properties")
    # In the order of the fields: what is the same has one spelling, and so one digest.
    return msgspec.json.encode({key: one for key, one in kept.items() if key in whole})


def _decoded(body: bytes) -> dict[str, Any] | None:
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("identifiers"), dict):
        return None
    if not isinstance(said.get("name"), str) or said["name"] not in SPARED:
        return None
    return said


def _names(schema: Schema, body: bytes, keys: frozenset[bytes]) -> bool:
    said = _decoded(body)
    if said is None:
        return False
    return any(
        _is_gone(schema, namespace, value, keys)
        for namespace, value in said["identifiers"].items()
        if namespace in schema.namespaces
    )


def _is_gone(schema: Schema, namespace: str, value: str, keys: frozenset[bytes]) -> bool:
    try:
        return leaf_key(namespace, schema.namespaces[namespace].spell(value)) in keys
    except ValueError:
        return True  # refused for it: nobody's identifier, and nothing to keep


def _properties(schema: Schema, name: str, said: Any) -> dict[str, Any] | None:
    """Keep the declared purposes that were named; of telling apart it is enough that it was."""
    if name != "consent_changed":
        return {"reason": ""}
    if not isinstance(said, dict):
        return None
    kept = {
        side: [one for one in said[side] if isinstance(one, str) and one in schema.purposes]
        for side in _SAID
        if isinstance(said.get(side), list)
    }
    if not any(kept.values()):
        return None
    return kept


def spare_waiting(schema: Schema, rows: pyarrow.Table, keys: frozenset[bytes]) -> pyarrow.Table:
    """Spare events that wait in the inbox, as `spare_body` does.

    Parameters
    ----------
    schema : Schema
    rows : pyarrow.Table
        As `liftwerk.store.inbox.Inbox.read` returns them.
    keys : frozenset of bytes
        Leaf keys of the erased.

    Returns
    -------
    pyarrow.Table
        The same rows; what names none of the erased is as it was. One of which nothing is left
        still names them.
    """
    if not keys:
        return rows
    kinds = pyarrow.array([*SPARED], pyarrow.string())
    is_kind = pyarrow.compute.is_in(rows.column("name"), value_set=kinds)
    places = pyarrow.compute.indices_nonzero(is_kind).to_pylist()
    if not places:
        return rows
    bodies = rows.column("body").to_pylist()
    for place in places:
        if _names(schema, bodies[place], keys):
            bodies[place] = spare_body(schema, bodies[place], keys) or bodies[place]
    at = rows.column_names.index("body")
    return rows.set_column(at, "body", pyarrow.array(bodies, pyarrow.binary()))


def spare_rows(
    schema: Schema, name: str, rows: pyarrow.Table, keys: frozenset[bytes]
) -> pyarrow.Table:
    """Leave of rows that name the erased what they say of others.

    Parameters
    ----------
    schema : Schema
    name : str
        The event, of `SPARED`.
    rows : pyarrow.Table
        Whole rows of its table.
    keys : frozenset of bytes
        Leaf keys of the erased.

    Returns
    -------
    pyarrow.Table
        With the columns of ``rows``; fewer rows where nothing is left of some.
    """
    leaves = [column for column in rows.column_names if column.startswith(LEAF)]
    connection = connect()
    connection.register("held", rows)
    connection.register("gone", pyarrow.table({"leaf": pyarrow.array(sorted(keys), "binary")}))
    columns = {column: quoted(column) for column in rows.column_names}
    for leaf in leaves:
        columns[leaf] = f"CASE WHEN {columns[leaf]} NOT IN (FROM gone) THEN {columns[leaf]} END"
    columns |= {
        column: f"CASE WHEN FALSE THEN {quoted(column)} END"  # null, of its type
        for column in _EMPTIED
        if column in columns
    }
    said = "TRUE"
    if name == "consent_changed":
        declared = ", ".join(map(text, schema.purposes)) or "NULL"
        for side in _SAID:
            columns[side] = f"list_filter({quoted(side)}, lambda x: x IN ({declared}))"
        said = " OR ".join(f"len({quoted(side)}) > 0" for side in _SAID)
    else:
        columns["reason"] = "''"
    made = ", ".join(f"{sql} AS {quoted(column)}" for column, sql in columns.items())
    listed = ", ".join(map(quoted, leaves))
    left = connection.sql(
        f"SELECT * REPLACE (('0x' || left(hex(coalesce({listed})), 2))::SMALLINT"
        f" AS customer_bucket) FROM (SELECT {made} FROM held)"
        f" WHERE ({said}) AND len(list_filter([{listed}], lambda x: x IS NOT NULL))"
        f" >= {SPARED[name]}"
    ).to_arrow_table()
    return left.cast(rows.schema)
