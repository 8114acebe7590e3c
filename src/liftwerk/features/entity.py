"""Whom or what a feature is about, and what in an event says so.

A customer, a visitor and a session are there in every project; other entities are declared
(`liftwerk.events.entities`), and have a key of one or more properties: a product its ``sku``, a
channel in a region both of their names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from liftwerk.events.definition import EventDefinition
from liftwerk.events.entities.definition import EntityDefinition

if TYPE_CHECKING:
    from liftwerk.features.definition import FeatureDefinition

CUSTOMER, VISITOR, SESSION = "customer", "visitor", "session"

CONTEXT = "context."
"""What names under the context of an event begin with."""

LONGEST_KEY = 200
"""Bytes of a key that is kept as it is written; longer ones are hashed."""


class KeyPart(Struct, frozen=True):
    """One of the values that together tell an entity from others.

    Attributes
    ----------
    name : str
        Its column in a spine.
    column : str
        What says it in an event: a property, a field of the unnested items (``items.sku``),
        ``context.NAME``, or a column that every event has.
    type : str
        ``binary``, or the type of a property.
    """

    name: str
    column: str
    type: str


BUILT_IN = {
    CUSTOMER: KeyPart(CUSTOMER, CUSTOMER, "binary"),
    VISITOR: KeyPart(VISITOR, VISITOR, "binary"),
    SESSION: KeyPart(SESSION, SESSION, "string"),
}
"""The entities of every project."""

PEOPLE = (CUSTOMER, VISITOR)
"""Entities whose key is the leaf key of an identifier."""


def key_of(
    feature: FeatureDefinition,
    event: EventDefinition,
    entities: Mapping[str, EntityDefinition],
) -> tuple[KeyPart, ...]:
    """Say what in an event tells whom a feature is about.

    Parameters
    ----------
    feature : FeatureDefinition
    event : EventDefinition
        The event that it reads.
    entities : mapping of str to EntityDefinition
        The declared ones.
    """
    if feature.entity in BUILT_IN:
        return (BUILT_IN[feature.entity],)
    declared = entities[feature.entity]
    columns = columns_of(feature, event, declared)
    return tuple(
        KeyPart(name, column, declared.properties[name].type)
        for name, column in zip(declared.key, columns, strict=True)
    )


def columns_of(
    feature: FeatureDefinition, event: EventDefinition, declared: EntityDefinition
) -> tuple[str, ...]:
    """Name what in an event says each part of a declared entity's key: ``by``, or its namesakes."""
    if feature.by:
        return feature.by
    items: Any = None
    if feature.unnest is not None and feature.unnest in event.properties:
        items = event.properties[feature.unnest].of
    return tuple(
        f"{feature.unnest}.{name}" if isinstance(items, dict) and name in items else name
        for name in declared.key
    )


def encoded(entity: str, values: Sequence[Any]) -> bytes:
    """Write a key as bytes: what online values are kept under.

    Parameters
    ----------
    entity : str
    values : sequence of bytes, str, int or bool
        A value for each part of the key.

    Examples
    --------
    >>> encoded("channel_region", ["email", "DE"])
    b'["email","DE"]'
    """
    if entity in PEOPLE:
        (leaf,) = values
        return bytes(leaf)
    written = msgspec.json.encode(list(values))
    if len(written) > LONGEST_KEY:
        return hashlib.sha256(written).digest()
    return written
