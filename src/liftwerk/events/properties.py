"""The typed properties of an event: what may be declared of them, and what may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import is_name
from liftwerk.definitions.typed import Retention
from liftwerk.privacy.tags import Tag

PropertyType = Literal["string", "integer", "number", "boolean", "money", "time", "list"]
ItemType = Literal["string", "integer", "number", "boolean", "money", "time"]

ENVELOPE_COLUMNS = (
    "id",
    "name",
    "version",
    "offset",
    "time",
    "sent_at",
    "known_at",
    "received",
    "source",
    "trust",
    "session",
    "customer",
    "customer_bucket",
    "consent_granted",
    "consent_source",
    "consent_version",
    "consent_at",
    "context",
    "decision",
    "weight",
    "synthetic",
    "modelled",
    "digest",
    "month",
    "superseded_at",
    "superseded_by",
)
"""Columns that every event table has; no property may be named so."""


class PropertyDefinition(Struct, frozen=True):
    """One typed property of an event.

    Attributes
    ----------
    type : str
        Its type.
    unit : str
        What a number counts.
    minimum, maximum : decimal.Decimal or None
        Bounds of a number or of money, both included.
    privacy : str
        How close the value is to a person.
    choices : tuple of str
        The texts that may occur; empty when any may.
    required : bool
        Whether an event without it is refused.
    description : str
        What it says.
    of : str, dict or None
        For a list: the type of its items, or field -> type of its rows.
    retention : Retention or None
        How long the value is kept; afterwards the event stays, without it.
    """

    type: PropertyType
    unit: str = ""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    privacy: Tag = "none"
    choices: tuple[str, ...] = ()
    required: bool = True
    description: str = ""
    of: ItemType | dict[str, ItemType] | None = None
    retention: Retention | None = None


def check_properties(
    project: Project,
    path: Path,
    properties: Mapping[str, PropertyDefinition],
    taken: Sequence[str] = ENVELOPE_COLUMNS,
    taken_by: str = "the envelope",
) -> Iterable[Problem]:
    """Find what is wrong with the properties of one version of an event, or of an entity.

    Parameters
    ----------
    project : Project
    path : tuple
        Where they are declared.
    properties : mapping of str to PropertyDefinition
    taken : sequence of str, optional
        Names that the table has for itself.
    taken_by : str, optional
        What has them.

    Yields
    ------
    Problem
    """
    # The columns that hold the currency of the money beside them.
    currencies = {f"{key}_currency" for key, one in properties.items() if one.type == "money"}
    for key in currencies & set(properties):
        what = f"the property name {key!r} is taken by the money beside it"
        yield project.problem((*path, key), "choose another name", what=what)
    for key, definition in properties.items():
        if key in taken or key.startswith("leaf_"):
            what = f"the property name {key!r} is taken by {taken_by}"
            yield project.problem((*path, key), "choose another name", what=what)
        yield from _check_property(project, (*path, key), key, definition)


def _check_property(
    project: Project, path: Path, name: str, definition: PropertyDefinition
) -> Iterable[Problem]:
    if not is_name(name):
        hint = "use lower case letters, digits and _, a letter first"
        yield project.problem(path, hint, what=f"the property name {name!r} cannot be used")
    bounded = definition.minimum is not None or definition.maximum is not None
    if bounded and definition.type not in ("integer", "number", "money"):
        hint = "minimum and maximum are for integer, number and money"
        yield project.problem((*path, "type"), hint, definition.type)
    low, high = definition.minimum, definition.maximum
    if low is not None and high is not None and low > high:
        yield project.problem((*path, "maximum"), f"at least the minimum, {low}", str(high))
    if definition.choices and definition.type != "string":
        hint = "choices are for strings"
        yield project.problem((*path, "choices"), hint, definition.choices)
    if definition.type == "list" and definition.of is None:
        hint = 'add of = "string", or of = { field = "type", … }'
        yield project.problem((*path, "of"), hint, what=f"{'.'.join(map(str, path))}.of is missing")
    if definition.type != "list" and definition.of is not None:
        yield project.problem((*path, "type"), "of is for lists", definition.type)
