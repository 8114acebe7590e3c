"""The tracking plan, language aside: the records that events are made of, by their JSON Schema."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.events.json_schema import SET_BY_US, Document, event_schema
from liftwerk.events.rules import SERVER_ONLY
from liftwerk.events.schema import schema_of

ENVELOPE = "Envelope"
"""The record of what every event says beside its name, its version and its properties."""

EVENT = "Event"
"""What may be sent: any of the events."""

_OWN = ("name", "version", "properties")


class Field(Struct, frozen=True):
    """One field of a record; ``type`` is JSON Schema, its references are names of records."""

    name: str
    type: Document
    required: bool
    description: str


class Record(Struct, frozen=True):
    """Some fields under a name, beside those of another record where ``extends`` names one."""

    name: str
    description: str
    fields: tuple[Field, ...]
    extends: str | None = None


class Plan(Struct, frozen=True):
    """A project's events: every record after those that it refers to, and which are events."""

    project: str
    records: tuple[Record, ...]
    events: tuple[str, ...]


def plan_of(project: Project, delivery: tuple[str, ...] = ()) -> Plan:
    """List the records of every event that a client may send.

    Parameters
    ----------
    project : Project
    delivery : tuple of str
        The fields that destinations declare for delivery alone.

    Returns
    -------
    Plan
        The current version of an event has its name, an older one its name and version.
    """
    schema = schema_of(project)
    names = _Names()
    records: dict[str, Record] = {}
    events = []
    for name in schema.types:
        if name in SERVER_ONLY:
            continue
        for kind in schema.versions(name):
            title = _pascal(name)
            if kind.earlier is not None:
                title = f"{title}V{kind.definition.version}"
            title = names.new(title)
            document = event_schema(project, name, kind.definition.version, delivery)
            known = {key: names.of(key, title, f"{name}_properties") for key in document["$defs"]}
            # An inner record is defined after the one that refers to it.
            for key, part in reversed(document["$defs"].items()):
                if known[key] not in records:
                    records[known[key]] = _record(known[key], part, known)
            shared = {
                key: part
                for key, part in document["properties"].items()
                if key not in (*_OWN, *SET_BY_US)
            }
            if ENVELOPE not in records:
                described = {**document, "properties": shared, "description": "Any event"}
                records[ENVELOPE] = _record(ENVELOPE, described, known)
            own = {key: document["properties"][key] for key in _OWN}
            whole = {**document, "properties": own}
            records[title] = _record(title, whole, known, extends=ENVELOPE)
            events.append(title)
    return Plan(project.name, tuple(records.values()), tuple(events))


class _Names:
    """Gives every record a name of its own."""

    def __init__(self) -> None:
        self._taken = {ENVELOPE, EVENT}
        self._shared: dict[str, str] = {}

    def new(self, wanted: str) -> str:
        """Return a name that nothing has yet: the wanted one, or one like it."""
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name

    def of(self, key: str, title: str, properties: str) -> str:
        """Name a definition: an event's own after the event, one that all share after itself."""
        if key.startswith(properties):
            return self.new(f"{title}{_pascal(key.removeprefix(properties)) or 'Properties'}")
        if key not in self._shared:
            self._shared[key] = self.new(_pascal(key))
        return self._shared[key]


def _pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _record(
    name: str, document: Document, known: dict[str, str], extends: str | None = None
) -> Record:
    fields = tuple(
        Field(
            key,
            _renamed(part, known),
            key in document.get("required", ()),
            part.get("description", ""),
        )
        for key, part in document["properties"].items()
    )
    return Record(name, document.get("description", ""), fields, extends)


def _renamed(part: Any, known: dict[str, str]) -> Any:
    """Let references name records."""
    if isinstance(part, list):
        return [_renamed(one, known) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: known[value.rpartition("/")[2]] if key == "$ref" else _renamed(value, known)
        for key, value in part.items()
    }
