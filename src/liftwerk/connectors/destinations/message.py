"""From a row of the event tables to what a vendor may see of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from liftwerk.connectors.destinations.definition import Destination, SentEvent, SentProperty
from liftwerk.connectors.destinations.exchange import Message
from liftwerk.connectors.destinations.kinds import KINDS
from liftwerk.events.columns import LEAF
from liftwerk.events.definition import EventDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.money import exponent

CLOSE = ("personal", "sensitive")
"""Privacy tags that are never sent unless the project names the property."""


def message_of(
    destination: Destination,
    declared: EventDefinition,
    currency: str,
    name: str,
    row: Mapping[str, Any],
    lane: bytes,
    values: Mapping[bytes, str],
    delivery: Mapping[str, str],
) -> Message:
    """Make the message of one event.

    Parameters
    ----------
    destination : Destination
    declared : EventDefinition
        The event's own definition.
    currency : str
        ISO 4217 code of the project's money.
    name : str
        Our name of the event.
    row : mapping of str to object
        Its columns, as `liftwerk.identity.resolve.read` returns them.
    lane : bytes
        The customer's key.
    values : mapping of bytes to str
        Leaf key -> identifier, read for the destination's purpose.
    delivery : mapping of str to str
        What the event brought for its delivery alone, opened for the destination's purpose.

    Returns
    -------
    Message
    """
    sent = destination.event_named(name)
    identifiers = {}
    for theirs, ours in destination.identifiers.items():
        leaf = row.get(f"{LEAF}{ours.namespace}")
        if leaf is not None and leaf in values:
            identifiers[theirs] = values[leaf]
    properties = {}
    money = False
    for theirs, wanted in sent_properties(destination, sent, declared).items():
        definition = declared.properties[wanted.property]
        value = row.get(wanted.property)
        if value is None:
            continue
        properties[theirs] = _plain(value, definition, wanted, currency)
        money = money or _is_money(definition)
    share = destination.sample.exact
    return Message(
        id=str(uuid.UUID(bytes=row["id"])),
        offset=row["offset"],
        event=name,
        version=declared.version,
        name=sent.sent_name,
        time=row["time"],
        lane=lane,
        identifiers=identifiers,
        properties=properties,
        currency=currency if money else None,
        weight=float(row["weight"] / share),
        delivery=delivery,
    )


def sent_properties(
    destination: Destination, sent: SentEvent, declared: EventDefinition
) -> dict[str, SentProperty]:
    """Return their field -> our property, by the definition or by default."""
    if sent.properties is not None:
        return sent.properties
    return {
        name: SentProperty(name)
        for name, definition in declared.properties.items()
        if definition.privacy not in CLOSE
        and (definition.type != "list" or KINDS[destination.kind].takes_lists)
    }


def _is_money(definition: PropertyDefinition) -> bool:
    if isinstance(definition.of, dict):
        return "money" in definition.of.values()
    return "money" in (definition.type, definition.of)


def _plain(value: Any, definition: PropertyDefinition, wanted: SentProperty, currency: str) -> Any:
    if definition.type != "list":
        return _scalar(value, definition.type, currency)
    if not isinstance(definition.of, dict):
        return [_scalar(item, definition.of or "string", currency) for item in value]
    fields = wanted.fields or {name: name for name in definition.of}
    return [
        {
            theirs: _scalar(row[ours], definition.of[ours], currency)
            for theirs, ours in fields.items()
            if row[ours] is not None
        }
        for row in value
    ]


def _scalar(value: Any, kind: str, currency: str) -> Any:
    if kind == "money" and value is not None:
        return Decimal(value).scaleb(-exponent(currency))
    return value
