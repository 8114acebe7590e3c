"""What an import is of: mapped rows, an entity, or a platform's export; and which keys go along."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES

if TYPE_CHECKING:
    from liftwerk.connectors.definition import ImportDefinition

_KEYS = {
    "events": ("key", "identifiers", "events", "consent"),
    "entity": ("entity", "properties", "valid_from", "known_at"),
    "export": ("identifiers", "consent", "known_at", "names", "fields"),
}
"""Form -> the keys that are its own; one of another form would say nothing."""

_WORDS = {
    "events": "an import of events",
    "entity": "an import of an entity",
    "export": "an export",
}


def form_of(definition: ImportDefinition) -> str:
    """Say which form an import has: ``events``, ``entity`` or ``export``."""
    if definition.kind != "rows":
        return "export"
    if definition.entity is not None:
        return "entity"
    return "events"


def check_form(project: Project, path: Path, definition: ImportDefinition) -> Iterable[Problem]:
    """Find keys of another form, and what an entity's or an export's own are wrong about."""
    form = form_of(definition)
    others = {key for keys in _KEYS.values() for key in keys} - set(_KEYS[form])
    for key in sorted(others):
        if getattr(definition, key):
            what = f"{'.'.join(map(str, path))}.{key} says nothing about {_WORDS[form]}"
            yield project.problem((*path, key), "leave it out", what=what)
    if form == "entity":
        yield from _check_entity(project, path, definition)
    if form == "export":
        yield from _check_export(project, path, definition)


def _check_entity(project: Project, path: Path, definition: ImportDefinition) -> Iterable[Problem]:
    declared = project.get(ENTITIES)
    if definition.entity not in declared:
        yield project.unknown((*path, "entity"), str(definition.entity), declared)
        return
    if definition.is_history:
        hint = "an entity is imported whole, or not at all: name one file"
        yield project.problem((*path, "file"), hint, definition.file)
    properties = declared[definition.entity].properties
    for key in definition.properties:
        if key not in properties:
            yield project.unknown_key((*path, "properties", key), properties)
    known_at = definition.known_at
    if definition.valid_from is None and known_at is not None:
        hint = "what holds from the import on is known since then: add valid_from, or leave it out"
        yield project.problem((*path, "known_at"), hint, what="known_at without valid_from")


def _check_export(project: Project, path: Path, definition: ImportDefinition) -> Iterable[Problem]:
    declared = known_events(project)
    if definition.known_at is not None and definition.known_at.column is not None:
        hint = 'an export has no such column: write a delay such as known_at = "6h"'
        yield project.problem((*path, "known_at"), hint, definition.known_at.column)
    for theirs, ours in definition.names.items():
        if ours and ours not in declared:
            yield project.unknown((*path, "names", theirs), ours, declared)
    for event, fields in definition.fields.items():
        if event not in declared:
            yield project.unknown_key((*path, "fields", event), declared)
            continue
        for key in fields:
            if key not in declared[event].properties:
                here = (*path, "fields", event, key)
                yield project.unknown_key(here, declared[event].properties)
