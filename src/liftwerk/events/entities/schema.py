"""An entity's definition -> the type that checks a row in one pass, and the table's columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, defstruct

from liftwerk.definitions.project import Project
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.columns import LEAF, Column, json_shape, property_columns
from liftwerk.events.consent.resolve import Resolver
from liftwerk.events.definition import EventDefinition
from liftwerk.events.entities.definition import ENTITIES, EntityDefinition
from liftwerk.events.identifiers import IDENTIFIERS, Namespace
from liftwerk.events.records import record, utc_fields
from liftwerk.events.refusal import explain
from liftwerk.events.schema import EventType, Schema
from liftwerk.events.sequence import ENTITY_TABLE


@dataclass(frozen=True)
class EntityType:
    """One entity, compiled: how its rows are checked, parsed and kept.

    A row's JSON has ``name``, ``version`` 1, ``properties``, and where they are told ``time`` (from
    when it holds) and ``known_at``.
    """

    name: str
    definition: EntityDefinition
    rows: Schema
    namespaces: dict[str, Namespace]

    @property
    def table(self) -> str:
        """Name of the table that keeps it."""
        return f"{self.name}{ENTITY_TABLE}"

    @property
    def json_shape(self) -> str:
        """What DuckDB's ``from_json`` needs to parse a row."""
        return json_shape(self.rows, self.rows.types[self.name])

    @property
    def columns(self) -> list[Column]:
        """Columns of the properties, over the parsed row ``j``."""
        return property_columns(self.rows.types[self.name], self.rows.currency)

    @property
    def leaves(self) -> dict[str, str]:
        """Leaf key's column -> the property it is made from."""
        return {f"{LEAF}{name}": key for name, key in self.definition.person.items()}


class Checked(msgspec.Struct, frozen=True):
    """Some rows, checked: the canonical JSON of the good ones, and why the others are bad.

    Attributes
    ----------
    good : list of (int, bytes)
        Number of the row, and its JSON.
    bad : dict of int to (str, str)
        Number of the row -> reason and path.
    """

    good: list[tuple[int, bytes]]
    bad: dict[int, tuple[str, str]]


@lru_cache(maxsize=64)
def entity_of(project: Project, name: str) -> EntityType:
    """Compile one of a project's entities.

    Raises
    ------
    UnknownName
        If it is not declared.
    """
    declared = project.get(ENTITIES)
    if name not in declared:
        raise UnknownName(f"no entity {name!r}", "[entities]", did_you_mean(name, declared))
    definition = declared[name]
    instant = Annotated[datetime, Meta(tz=True)]
    properties = record(f"{name}_properties", definition.properties, project.currency)
    row = defstruct(
        f"{name}_row",
        [
            ("version", Literal[1]),
            ("time", instant | None, None),
            ("properties", properties),
            ("known_at", instant | None, None),
        ],
        tag_field="name",
        tag=name,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        namespace={"__post_init__": utc_fields(("time", "known_at"))},
    )
    kind = EventType(name, EventDefinition(1, "", properties=definition.properties), row)
    decoder = msgspec.json.Decoder(row)
    rows = Schema({name: kind}, {}, {}, project.currency, decoder, Resolver(project))
    namespaces = {key: project.get(IDENTIFIERS)[key] for key in definition.person}
    return EntityType(name, definition, rows, namespaces)


def check_rows(
    kind: EntityType, bodies: Iterable[tuple[int, str | bytes]], moments: Sequence[str] = ()
) -> Checked:
    """Check rows, each by itself.

    Parameters
    ----------
    kind : EntityType
    bodies : iterable of (int, str or bytes)
        Number of the row, and its JSON.
    moments : sequence of str, optional
        Which of ``time`` and ``known_at`` every row has to tell.

    Returns
    -------
    Checked
    """
    decode, encode = kind.rows.decoder.decode, msgspec.json.Encoder().encode
    spelled = [(f"{key}_", kind.namespaces[name]) for name, key in kind.definition.person.items()]
    good: list[tuple[int, bytes]] = []
    bad: dict[int, tuple[str, str]] = {}
    for number, body in bodies:
        try:
            row = decode(body)
            _spell(row.properties, spelled)
        except (ValueError, RecursionError) as error:
            reason, path = explain(kind.rows, body, error)
            bad[number] = (_in_our_words(kind.name, reason, path), path)
            continue
        untold = [moment for moment in moments if getattr(row, moment) is None]
        if untold:
            path = f"$.{untold[0]}"
            bad[number] = (
                _in_our_words(kind.name, f"{kind.name}{path[1:]} is missing", path),
                path,
            )
            continue
        good.append((number, encode(row)))
    return Checked(good, bad)


def _spell(properties: Any, spelled: Sequence[tuple[str, Namespace]]) -> None:
    """Give identifiers their one spelling, so that erasure finds them by their key."""
    for attribute, namespace in spelled:
        value = getattr(properties, attribute)
        if value is None:
            continue
        try:
            setattr(properties, attribute, namespace.spell(value))
        except ValueError as error:
            place = f" - at `$.properties.{attribute.rstrip('_')}`"
            raise msgspec.ValidationError(f"{error}{place}") from None


def _in_our_words(name: str, reason: str, path: str) -> str:
    """Call the moment from which a row holds what people call it here."""
    if path == "$.time":
        return reason.replace(f"{name}.time", f"{name}.valid_from")
    return reason
