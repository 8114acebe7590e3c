"""``[entities.NAME]``: a thing with properties over time, such as a product or a rate."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.definitions.typed import Retention
from liftwerk.events.definition import known_events
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.properties import PropertyDefinition, check_properties
from liftwerk.privacy.definition import PURPOSES

OWN_COLUMNS = ("valid_from", "valid_to", "known_at", "received", "offset", "digest", "month")
"""Columns that every entity has; no property may be named so."""


class EntityDefinition(Struct, frozen=True):
    """``[entities.NAME]``: reference data with a time it holds from and a time it is known from.

    Attributes
    ----------
    key : tuple of str
        Properties that together name one thing, such as ``["sku"]``.
    properties : dict of str to PropertyDefinition
        Its typed properties, those of the key among them; as an event's.
    description : str
        What it is.
    owner : str
        Who answers for it.
    purposes : tuple of str
        What it may be read for; empty: for every declared purpose. Needed where a property is not
        tagged ``none``; rows carry no consent, so none of them may rest on it.
    person : dict of str to str
        Where it is about people: namespace -> the property that holds their identifier, so that
        erasure finds them.
    retention : Retention or None
        How long a row is kept after another took its place; None for as long as the project.
    """

    key: tuple[str, ...]
    properties: dict[str, PropertyDefinition]
    description: str
    owner: str = ""
    purposes: tuple[str, ...] = ()
    person: dict[str, str] = {}
    retention: Retention | None = None


def _check(project: Project) -> Iterable[Problem]:
    for name, entity in project.get(ENTITIES).items():
        path: Path = ("entities", name)
        if name in known_events(project):
            what = f"the entity {name!r} has an event's name"
            yield project.problem(path, "choose another name: both are tables", what=what)
        yield from _check_key(project, path, entity)
        yield from check_properties(
            project, (*path, "properties"), entity.properties, OWN_COLUMNS, "every entity"
        )
        yield from _check_purposes(project, path, entity)
        for namespace, key in entity.person.items():
            here = (*path, "person", namespace)
            if namespace not in project.get(IDENTIFIERS):
                yield project.unknown_key(here, project.get(IDENTIFIERS))
            if key not in entity.properties:
                yield project.unknown(here, key, entity.properties)
            elif entity.properties[key].type != "string":
                yield project.problem(here, 'an identifier has type = "string"', key)


def _check_key(project: Project, path: Path, entity: EntityDefinition) -> Iterable[Problem]:
    if not entity.key:
        hint = 'name the properties that tell one from another, such as ["sku"]'
        yield project.problem((*path, "key"), hint, entity.key)
    for place, key in enumerate(entity.key):
        here = (*path, "key", place)
        if key not in entity.properties:
            yield project.unknown(here, key, entity.properties)
            continue
        definition = entity.properties[key]
        if not definition.required:
            yield project.problem(here, "a part of the key is always there: required = true", key)
        if definition.type in ("list", "number", "money"):
            hint = "a key is made of string, integer, boolean or time"
            yield project.problem(here, hint, key)


def _check_purposes(project: Project, path: Path, entity: EntityDefinition) -> Iterable[Problem]:
    declared = project.get(PURPOSES)
    for place, purpose in enumerate(entity.purposes):
        here = (*path, "purposes", place)
        if purpose not in declared:
            yield project.unknown(here, purpose, declared)
        elif is_personal(entity) and declared[purpose].basis == "consent":
            hint = "its rows carry no consent: name purposes with another basis"
            yield project.problem(here, hint, purpose)
    if is_personal(entity) and not entity.purposes:
        what = f"entities.{path[-1]} is about people and names no purposes"
        yield project.problem(path, 'add purposes = ["…"]: what it may be read for', what=what)
    if is_personal(entity) and not entity.person:
        what = f"entities.{path[-1]} is about people, and nothing says whom"
        hint = 'add person = { customer_id = "customer" }, so that erasure finds them'
        yield project.problem(path, hint, what=what)


def is_personal(entity: EntityDefinition) -> bool:
    """Say whether an entity says anything that is close to a person."""
    tagged = any(one.privacy != "none" for one in entity.properties.values())
    return tagged or bool(entity.person)


ENTITIES = named("entities", EntityDefinition, _check)
