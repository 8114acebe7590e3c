"""``cohort``: what is known of people like this one, told in aggregates and never about a person.

A cohort is an entity whose key the customer's own features say, such as a country and a class of
device. What is known of it comes from wherever it was added up, and says how many people it is of:
below a minimum the value is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.definition import FEATURES, FeatureDefinition
from liftwerk.features.packs.pack import FeaturePack, Made, Pack

MINIMUM = 50
"""How many customers there must be in a cohort, unless it is said."""

LEAST = 10
"""What may be said at least: fewer are too near to a person."""

NUMBERS = ("integer", "number", "money")


def _make(pack: FeaturePack, _name: str) -> Made:
    many = pack.minimum or MINIMUM
    for value in pack.values:
        yield (
            value,
            FeatureDefinition(
                "customer",
                expression=(
                    f"case when {pack.entity}.{pack.size} >= {many} then {pack.entity}.{value} end"
                ),
                description=f"{value} of the {pack.entity}, of {many} customers or more",
            ),
        )


def _check(project: Project, path: Path, pack: FeaturePack) -> Iterable[Problem]:
    entities = project.get(ENTITIES)
    entity = entities.get(pack.entity or "")
    if entity is None:
        yield project.unknown((*path, "entity"), str(pack.entity), entities)
        return
    if entity.person:
        hint = "a cohort is of many: declare an entity that says nothing about one"
        yield project.problem((*path, "entity"), hint, pack.entity)
    named = [((*path, "values", place), name) for place, name in enumerate(pack.values)]
    for where, name in (*named, ((*path, "size"), str(pack.size))):
        if name not in entity.properties:
            yield project.unknown(where, name, entity.properties)
        elif entity.properties[name].type not in NUMBERS:
            hint = f"it is of type {entity.properties[name].type}: name a number"
            yield project.problem(where, hint, name)
    if pack.minimum is not None and pack.minimum < LEAST:
        hint = f"write at least {LEAST}: fewer are too near to a person"
        yield project.problem((*path, "minimum"), hint, pack.minimum)
    declared = project.get(FEATURES)
    for part in entity.key:
        if part not in declared or declared[part].entity != "customer":
            hint = f"declare [features.{part}] about a customer, such as the last {part} seen"
            what = f"no feature says the {part} of a customer"
            yield project.problem((*path, "entity"), hint, what=what)


COHORT = Pack(
    "cohort",
    "what is known of people like this one, in aggregates",
    needs=("entity", "size", "values"),
    takes=("minimum",),
    gives=("PROPERTY",),
    make=_make,
    check=_check,
)
