"""Definitions -> types that decode and check an event in one C-level pass, made once a project.

The type is the schema: what `liftwerk.events.admit` accepts, what the tables' columns are and what
a refusal says all follow from the same declaration.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, reduce
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, defstruct, structs

from liftwerk.definitions.project import Project
from liftwerk.events.consent.resolve import Resolver
from liftwerk.events.consent.wire import Consent
from liftwerk.events.definition import LIVE, SOURCES, EventDefinition, Source, known_events
from liftwerk.events.delivery.fields import DELIVERY, delivery_struct
from liftwerk.events.earlier import EarlierVersion
from liftwerk.events.identifiers import IDENTIFIERS, Namespace
from liftwerk.events.records import TEXT_LIMIT, record, utc_fields
from liftwerk.events.rules import RULES
from liftwerk.privacy.definition import PURPOSES

FULL_WEIGHT = 1.0
"""The default weight, one object: msgspec leaves out what *is* the default, not what equals it."""


@dataclass(frozen=True)
class EventType:
    """One (name, version): its definition, the struct of its JSON, the name of its table.

    ``earlier`` says how its rows are read as the current version's; None when it is that.
    """

    name: str
    definition: EventDefinition
    struct: type[Struct]
    earlier: EarlierVersion | None = None

    @property
    def table(self) -> str:
        """Name of the table that keeps it."""
        return f"{self.name}_v{self.definition.version}"


class Decoder(Protocol):
    """What turns a body into an event's struct."""

    def decode(self, body: Any, /) -> Any:
        """Decode and check one body; raises `msgspec.DecodeError` or `msgspec.ValidationError`."""
        ...


@dataclass(frozen=True)
class Schema:
    """Every event a project knows, ready to decode: ``types`` has the current version of each.

    ``delivery`` names the fields that an event may carry for its delivery alone; ``purposes`` are
    the declared ones.
    """

    types: Mapping[str, EventType]
    namespaces: Mapping[str, Namespace]
    sources: Mapping[str, Source]
    currency: str
    decoder: Decoder
    resolve_consent: Resolver
    earlier: Mapping[str, Sequence[EventType]] = field(default_factory=dict)
    delivery: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()

    def versions(self, name: str) -> Sequence[EventType]:
        """Return every declared version of an event, the oldest first; none when it is unknown."""
        if name not in self.types:
            return ()
        return (*self.earlier.get(name, ()), self.types[name])

    def version(self, name: str, number: object) -> EventType | None:
        """Return one declared version of an event."""
        for kind in self.versions(name):
            if kind.definition.version == number:
                return kind
        return None


@lru_cache(maxsize=8)
def schema_of(project: Project, delivery: tuple[str, ...] = ()) -> Schema:
    """Compile a project's events.

    Parameters
    ----------
    project : Project
    delivery : tuple of str
        The fields that events may carry for their delivery alone, as a door lets them in; what is
        kept has none.

    Returns
    -------
    Schema
        The same object for the same project and fields.
    """
    currency = project.currency
    namespaces = project.get(IDENTIFIERS)
    shared: list[tuple[str, Any, Any]] = [("identifiers", _identifiers(namespaces) | None, None)]
    if delivery:
        shared.append((DELIVERY, delivery_struct(delivery) | None, None))
    known = known_events(project)
    types = {
        name: EventType(name, definition, _event(name, definition, shared, currency))
        for name, definition in known.items()
    }
    earlier = {
        name: [
            EventType(name, old, _event(name, old, shared, currency), declared)
            for declared, old in _earlier(definition)
        ]
        for name, definition in known.items()
        if definition.earlier
    }
    sources = {**project.get(SOURCES), LIVE: Source("http", "server", "Decisions made live")}
    union: Any = reduce(operator.or_, (kind.struct for kind in types.values()))
    decoder: Decoder = msgspec.json.Decoder(union)
    if earlier:
        decoder = _Versions(decoder, earlier)
    resolver = Resolver(project)
    purposes = tuple(project.get(PURPOSES))
    return Schema(
        types, namespaces, sources, currency, decoder, resolver, earlier, delivery, purposes
    )


def _earlier(definition: EventDefinition) -> list[tuple[EarlierVersion, EventDefinition]]:
    """Return the definition that each older version had, the oldest first."""
    return [
        (
            old,
            structs.replace(
                definition, version=old.version, properties=old.properties, unique=(), earlier=()
            ),
        )
        for old in sorted(definition.earlier, key=lambda old: old.version)
    ]


class _Head(Struct):
    name: Any = None
    version: Any = None


_head = msgspec.json.Decoder(_Head)


def head_of(body: Any) -> tuple[Any, Any] | None:
    """Return the name and the version that a body gives itself, None when it is no JSON object.

    Examples
    --------
    >>> head_of(b'{"name":"visit","version":1,"more":[]}'), head_of(b"[]")
    (('visit', 1), None)
    """
    try:
        head = _head.decode(body)
    except (ValueError, RecursionError):
        return None
    return head.name, head.version


class _Versions:
    """Decodes the current version at its full speed, and an older one at the second try.

    One union can't hold two structs with one name; and what is current is nearly all that comes.
    """

    def __init__(self, current: Decoder, earlier: Mapping[str, Sequence[EventType]]) -> None:
        self._current = current.decode
        self._earlier = {
            (name, kind.definition.version): msgspec.json.Decoder(kind.struct)
            for name, kinds in earlier.items()
            for kind in kinds
        }

    def decode(self, body: Any, /) -> Any:
        """Decode and check one body, by the version that it names."""
        try:
            return self._current(body)
        except msgspec.ValidationError:
            older = self._older(body)
            if older is None:
                raise
        return older.decode(body)

    def _older(self, body: Any) -> msgspec.json.Decoder[Any] | None:
        name, version = head_of(body) or (None, None)
        if not isinstance(name, str) or type(version) is not int:
            return None
        return self._earlier.get((name, version))


def _event(
    name: str,
    definition: EventDefinition,
    shared: Sequence[tuple[str, Any, Any]],
    currency: str,
) -> type[Struct]:
    """Make the struct of one event; its field order is the order of the canonical JSON."""
    properties = record(f"{name}_properties", definition.properties, currency, RULES.get(name, ()))
    is_empty_allowed = not any(one.required for one in definition.properties.values())
    properties_field: tuple[Any, ...] = ("properties", properties)
    if is_empty_allowed:
        properties_field = ("properties", properties, msgspec.field(default_factory=properties))
    instant = Annotated[datetime, Meta(tz=True)]
    text = Annotated[str, Meta(max_length=TEXT_LIMIT)]
    fields: list[tuple[Any, ...]] = [
        ("id", UUID),
        ("version", Literal[definition.version]),
        ("time", instant),
        ("source", text | None, None),
        *shared,
        ("session", text | None, None),
        ("consent", Consent | None, None),
        ("context", dict[str, Any] | None, None),
        ("decision", UUID | None, None),
        ("weight", Annotated[float, Meta(gt=0, le=1e9)], FULL_WEIGHT),
        ("synthetic", bool, False),
        ("modelled", bool, False),
        properties_field,
        ("known_at", instant | None, None),
        ("received", instant | None, None),
        # Last, so that `liftwerk.events.admit.digest` can leave it out: a retry changes it.
        ("sent_at", instant | None, None),
    ]
    return defstruct(
        f"{name}_event",
        fields,
        tag_field="name",
        tag=name,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        namespace={"__post_init__": utc_fields(("time", "known_at", "received", "sent_at"))},
    )


def _identifiers(namespaces: Mapping[str, Namespace]) -> type[Struct]:
    """Make the struct of ``identifiers``: one optional text a namespace, normalised as it comes."""
    value = Annotated[str, Meta(min_length=1, max_length=1000)]
    rules = [(f"{name}_", namespace.spell) for name, namespace in namespaces.items()]

    def spell(self: Any) -> None:
        found = False
        for attribute, spelled in rules:
            given = getattr(self, attribute)
            if given is not None:
                found = True
                setattr(self, attribute, spelled(given))
        if not found:
            raise ValueError("an event names at least one identifier")

    return defstruct(
        "identifiers",
        [(attribute, value | None, None) for attribute, _ in rules],
        rename={f"{name}_": name for name in namespaces},
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        namespace={"__post_init__": spell},
    )
