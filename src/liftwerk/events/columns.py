"""What an event looks like as a table row: each column's type, and where in the JSON it is.

===================  =================  ========================================================
column               type               what it holds
===================  =================  ========================================================
id                   binary(16)         the event's UUID
offset               int64              its place in the log; orders knowledge
time                 timestamp[us, UTC] when it happened, a browser's clock corrected
known_at             timestamp[us, UTC] when we learnt it
received             timestamp[us, UTC] when it reached us
sent_at              timestamp[us, UTC] the sender's clock
source, trust        string             who told us, and whose word it is
session              string
customer_bucket      int16              first byte of the first leaf key: rows are sorted by it
leaf_NAMESPACE       binary(16)         key of the identifier, for each declared namespace
consent_granted      list of string     purposes; null when nothing was said
consent_source       string
consent_version      string
consent_at           timestamp[us, UTC]
context              string             JSON
decision             binary(16)         the decision it answers
weight               double             inverse sampling rate
synthetic, modelled  bool               test traffic; estimated and not seen
digest               binary(8)          tells contents of one id apart
===================  =================  ========================================================

Then the properties, under their own names: money as whole minor units (int64) beside a
``NAME_currency``, times as timestamps, lists as lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from liftwerk.events.engine import quoted, text
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.schema import EventType, Schema
from liftwerk.events.skew import happened_sql
from liftwerk.money import exponent

JSON = str | dict[str, Any] | list[Any]

LEAF = "leaf_"
"""Prefix of the leaf keys' columns."""


@dataclass(frozen=True)
class Column:
    """A column: its name, its DuckDB type, and its expression over the parsed body ``j``."""

    name: str
    type: str
    expression: str


_SQL_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "money": "BIGINT",
    "time": "TIMESTAMPTZ",
}

_JSON_TYPES = {**_SQL_TYPES, "money": "VARCHAR", "time": "VARCHAR"}

_ENVELOPE_JSON: dict[str, JSON] = {
    "id": "VARCHAR",
    "version": "BIGINT",
    "time": "VARCHAR",
    "known_at": "VARCHAR",
    "sent_at": "VARCHAR",
    "source": "VARCHAR",
    "session": "VARCHAR",
    "consent": {"granted": ["VARCHAR"], "source": "VARCHAR", "version": "VARCHAR", "at": "VARCHAR"},
    "context": "JSON",
    "decision": "VARCHAR",
    "weight": "DOUBLE",
    "synthetic": "BOOLEAN",
    "modelled": "BOOLEAN",
}


def leaf_columns(schema: Schema) -> list[str]:
    """Name the leaf keys' columns, in the declared order of the namespaces."""
    return [f"{LEAF}{namespace}" for namespace in schema.namespaces]


def columns_of(schema: Schema, kind: EventType) -> list[Column]:
    """List the columns of one event's table.

    Parameters
    ----------
    schema : Schema
    kind : EventType

    Returns
    -------
    list of Column
        Envelope first, then the properties in their declared order.
    """
    columns = [*_envelope(schema), *property_columns(kind, schema.currency)]
    if kind.name != "decision_made":
        return columns
    # Told without its unit, a decision is about the customer of its envelope.
    unit = f"coalesce(j.properties.unit, {_first_leaf(schema)})"
    return [
        Column("unit", "VARCHAR", unit) if column.name == "unit" else column for column in columns
    ]


def json_shape(schema: Schema, kind: EventType) -> str:
    """Return what DuckDB's ``from_json`` needs to parse a body."""
    shape: dict[str, JSON] = dict(_ENVELOPE_JSON)
    namespaces: dict[str, JSON] = dict.fromkeys(schema.namespaces, "VARCHAR")
    if namespaces:
        shape["identifiers"] = namespaces
        shape["leaves"] = namespaces
    properties = {
        name: _json_type(definition) for name, definition in kind.definition.properties.items()
    }
    if properties:
        shape["properties"] = properties
    return msgspec.json.encode(shape).decode()


def _envelope(schema: Schema) -> list[Column]:
    """Expressions over ``j`` (the body), ``o`` (offset), ``received``, ``digest``, ``trust``."""
    leaves = [
        Column(f"{LEAF}{name}", "BLOB", f"unhex({leaf_hex(name)})") for name in schema.namespaces
    ]
    bucket = f"('0x' || left({_first_leaf(schema)}, 2))::SMALLINT"
    instants = ("j.time::TIMESTAMPTZ", "j.sent_at::TIMESTAMPTZ")
    time = happened_sql(*instants, "received", "trust")
    known_at = "CASE WHEN trust = 'import' THEN coalesce(j.known_at, j.time)::TIMESTAMPTZ"
    return [
        Column("id", "BLOB", "unhex(replace(j.id, '-', ''))"),
        Column("offset", "BIGINT", "o"),
        Column("time", "TIMESTAMPTZ", time),
        Column("known_at", "TIMESTAMPTZ", f"{known_at} ELSE received END"),
        Column("received", "TIMESTAMPTZ", "received"),
        Column("sent_at", "TIMESTAMPTZ", "j.sent_at::TIMESTAMPTZ"),
        Column("source", "VARCHAR", "j.source"),
        Column("trust", "VARCHAR", "trust"),
        Column("session", "VARCHAR", "j.session"),
        Column("customer_bucket", "SMALLINT", bucket),
        *leaves,
        Column("consent_granted", "VARCHAR[]", "j.consent.granted"),
        Column("consent_source", "VARCHAR", "j.consent.source"),
        Column("consent_version", "VARCHAR", "j.consent.version"),
        Column("consent_at", "TIMESTAMPTZ", "j.consent.at::TIMESTAMPTZ"),
        Column("context", "VARCHAR", "j.context::VARCHAR"),
        Column("decision", "BLOB", "unhex(replace(j.decision, '-', ''))"),
        Column("weight", "DOUBLE", "coalesce(j.weight, 1.0)"),
        Column("synthetic", "BOOLEAN", "coalesce(j.synthetic, FALSE)"),
        Column("modelled", "BOOLEAN", "coalesce(j.modelled, FALSE)"),
        Column("digest", "BLOB", "digest"),
    ]


def _first_leaf(schema: Schema) -> str:
    leaves = [leaf_hex(name) for name in schema.namespaces]
    return f"coalesce({', '.join([*leaves, 'NULL'])})"


def leaf_hex(namespace: str) -> str:
    """Write `liftwerk.events.identifiers.leaf_key` in SQL, as hexadecimal text.

    A decision that was made live names its unit by the key itself, under ``leaves``.
    """
    value = f"j.identifiers.{quoted(namespace)}"
    hashed = f"left(sha256({text(namespace)} || chr(0) || {value}), 32)"
    return f"coalesce({hashed}, j.leaves.{quoted(namespace)})"


def property_columns(kind: EventType, currency: str) -> list[Column]:
    """List the columns of the properties, as expressions over the parsed body ``j``."""
    columns = []
    for name, definition in kind.definition.properties.items():
        value = f"j.properties.{quoted(name)}"
        columns.append(Column(name, sql_type(definition), _expression(value, definition, currency)))
        if definition.type == "money":
            unit = f"CASE WHEN {value} IS NOT NULL THEN {text(currency)} END"
            columns.append(Column(f"{name}_currency", "VARCHAR", unit))
    return columns


def sql_type(definition: PropertyDefinition) -> str:
    """Return the DuckDB type of a property's column."""
    if definition.type != "list":
        return _SQL_TYPES[definition.type]
    if isinstance(definition.of, dict):
        fields = (f"{quoted(key)} {_SQL_TYPES[kind]}" for key, kind in definition.of.items())
        return f"STRUCT({', '.join(fields)})[]"
    return f"{_SQL_TYPES[definition.of or 'string']}[]"


def _json_type(definition: PropertyDefinition) -> JSON:
    if definition.type != "list":
        return _JSON_TYPES[definition.type]
    if isinstance(definition.of, dict):
        return [{key: _JSON_TYPES[kind] for key, kind in definition.of.items()}]
    return [_JSON_TYPES[definition.of or "string"]]


def _expression(value: str, definition: PropertyDefinition, currency: str) -> str:
    if definition.type != "list":
        return _scalar(value, definition.type, currency)
    if isinstance(definition.of, dict):
        fields = (
            f"{text(key)}: {_scalar(f'x.{quoted(key)}', kind, currency)}"
            for key, kind in definition.of.items()
        )
        return f"list_transform({value}, lambda x: {{{', '.join(fields)}}})"
    return f"list_transform({value}, lambda x: {_scalar('x', definition.of or 'string', currency)})"


def _scalar(value: str, kind: str, currency: str) -> str:
    if kind == "money":
        decimals = exponent(currency)
        return f"({value}::DECIMAL(38, {decimals}) * {10**decimals})::BIGINT"
    if kind == "time":
        return f"{value}::TIMESTAMPTZ"
    return value
