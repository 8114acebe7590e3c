"""An event as it is sent, as JSON Schema: derived from the very struct that decodes it.

What the language of JSON Schema has no words for is said in descriptions: bounds of money, dates
that no calendar has, identifiers that are empty once they are normalised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from liftwerk.definitions.project import Project
from liftwerk.definitions.schema import DRAFT
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.refusal import wanted
from liftwerk.events.schema import EventType, Schema, schema_of

Document = dict[str, Any]

_UUID = "^([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"
_INSTANT = (
    r"^(19[7-9][0-9]|2[01][0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])$"
)
_PATTERNS = {"uuid": _UUID, "date-time": _INSTANT}
"""Formats are notes to most validators: a pattern is checked."""

_DESCRIPTIONS = {
    "id": "Sent twice, it is one event",
    "time": "When it happened",
    "sent_at": "What the sender's clock showed when it was sent",
    "received": "Set by the collector; what is sent is not taken",
    "source": "Set by the collector, by the key; what is sent is not taken",
    "known_at": "When it was known; taken of imports only",
    "identifiers": "Whom it is about, by namespace",
    "session": "The visit it belongs to",
    "consent": "What the customer had agreed to",
    "context": "What stood around it, coarse",
    "decision": "The decision that it answers",
    "delivery": "For the destinations that declare it: sealed, kept until it is sent, in no table",
    "weight": "Inverse of the rate at which such events are sent",
    "synthetic": "Test traffic",
    "modelled": "Estimated, and not seen",
    "properties": "What the event says",
}

_CONSENT: list[Document] = [
    {
        "required": ["source"],
        "properties": {"source": {"type": "string"}, "tcf": False, "gcm": False},
    },
    {"required": ["tcf"], "properties": {"granted": {"type": "null"}, "gcm": False}},
    {"required": ["gcm"], "properties": {"granted": {"type": "null"}, "tcf": False}},
]
"""Consent is said in one way: by us, or as a consent manager gives it."""

SET_BY_US = ("received", "source")
"""Fields of the envelope that a sender has no say in."""


def event_schema(
    project: Project, name: str, version: int | None = None, delivery: tuple[str, ...] = ()
) -> Document:
    """Derive the JSON Schema of one event.

    Parameters
    ----------
    project : Project
    name : str
        The event.
    version : int, optional
        The current one by default.
    delivery : tuple of str
        The fields that destinations declare for delivery alone.

    Returns
    -------
    dict
        Draft 2020-12, of the whole event as it is sent.

    Raises
    ------
    UnknownName
        If the event or the version is not declared.
    """
    schema = schema_of(project, delivery)
    kind = _kind(schema, name, version)
    derived = msgspec.json.schema(kind.struct)
    definitions = derived["$defs"]
    event = definitions.pop(derived["$ref"].rpartition("/")[2])
    event["title"] = f"{name} {kind.definition.version}"
    event["description"] = kind.definition.description
    # Only what was decided live has none, and that comes through no door.
    event["required"].append("identifiers")
    event["properties"]["identifiers"] = {"$ref": "#/$defs/identifiers"}
    for field, description in _DESCRIPTIONS.items():
        if field not in event["properties"]:
            continue
        event["properties"][field] = {**event["properties"][field], "description": description}
    for field in SET_BY_US:
        event["properties"][field]["readOnly"] = True
    namespaces = definitions["identifiers"]
    namespaces["anyOf"] = [
        {"required": [one], "properties": {one: {"type": "string"}}} for one in schema.namespaces
    ]
    definitions["Consent"]["anyOf"] = _CONSENT
    properties = definitions[f"{name}_properties"]["properties"]
    for key, definition in kind.definition.properties.items():
        properties[key] = {**properties[key], **_said(definition, schema.currency)}
    document = {"$schema": DRAFT, **event, "$defs": definitions}
    _tidy(document)
    return document


def _kind(schema: Schema, name: str, version: int | None) -> EventType:
    if name not in schema.types:
        raise UnknownName(f"no event {name!r}", "[events]", did_you_mean(name, schema.types))
    if version is None:
        return schema.types[name]
    kind = schema.version(name, version)
    if kind is None:
        numbers = [str(one.definition.version) for one in schema.versions(name)]
        hint = "known: " + ", ".join(numbers)
        raise UnknownName(f"no version {version} of {name!r}", "[events]", hint)
    return kind


def _said(definition: PropertyDefinition, currency: str) -> Document:
    """Return what a declaration says beside the type."""
    words = wanted(definition, currency)
    if definition.description:
        words = f"{definition.description}: {words}"
    said: Document = {"description": words, "x-privacy": definition.privacy}
    if definition.unit:
        said["x-unit"] = definition.unit
    return said


def _tidy(document: Document) -> None:
    """Write what Python means as JSON Schema writes it, in place."""
    for part in _parts(document):
        if "pattern" in part:
            part["pattern"] = part["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
        if part.get("format") in _PATTERNS:
            part["pattern"] = _PATTERNS[part["format"]]
        if len(part.get("enum", ())) == 1:
            [part["const"]] = part.pop("enum")
        if part.get("default", ...) is None:
            del part["default"]
        if "description" in part:  # of a struct it is the whole docstring
            part["description"] = " ".join(part["description"].partition("\n\n")[0].split())


def _parts(document: Any) -> Iterator[Document]:
    """Yield every schema inside a schema."""
    if isinstance(document, list):
        for one in document:
            yield from _parts(one)
    if not isinstance(document, dict):
        return
    yield document
    for key, value in document.items():
        if key in ("properties", "$defs"):  # names, which may be words of the language
            for one in value.values():
                yield from _parts(one)
        elif key in ("items", "anyOf"):
            yield from _parts(value)
