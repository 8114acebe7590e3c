"""``[[events.NAME.earlier]]``: older versions of an event, and how their rows are read today.

A version's rows rest in a table of its own and are never rewritten. What the current version calls
otherwise, counts otherwise or newly asks for is filled as it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field, structs

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.events.properties import PropertyDefinition, check_properties
from liftwerk.events.records import record
from liftwerk.privacy.tags import strictest

if TYPE_CHECKING:
    from liftwerk.events.definition import EventDefinition

_COUNTED = ("integer", "number")

Default = str | int | float | bool


class Reading(Struct, frozen=True):
    """How one property is filled from a row of an older version.

    Short form: the older property's name.

    Attributes
    ----------
    from_ : str or None
        The older property; the one of the same name unless said.
    times : decimal.Decimal or None
        What to multiply an integer or a number by, when the unit has changed.
    default : str, int, float, bool or None
        What stands where the older row says nothing: money and times as text.

    Examples
    --------
    >>> Reading.shorthand("total").from_
    'total'
    """

    from_: str | None = field(name="from", default=None)
    times: Decimal | None = None
    default: Default | None = None

    @classmethod
    def shorthand(cls, text: str) -> Reading:
        """Read the name of an older property."""
        return cls(from_=text)


AS_IT_IS = Reading()
"""How a property is read that nothing is said about: from the one of the same name."""


class EarlierVersion(Struct, frozen=True):
    """An older version of an event: still taken, and read as the current one.

    Attributes
    ----------
    version : int
        Which one.
    properties : dict of str to PropertyDefinition
        Its typed properties, as they were.
    read : dict of str to Reading
        Property of the current version -> how it is filled; those of the same name and type need
        no word.
    """

    version: int
    properties: dict[str, PropertyDefinition] = {}
    read: dict[str, Reading] = {}

    def source_of(self, name: str) -> str | None:
        """Name the older property that fills one of the current version, None where none does.

        Examples
        --------
        >>> properties = {"total": PropertyDefinition("money")}
        >>> old = EarlierVersion(1, properties, {"paid": Reading("total")})
        >>> old.source_of("paid"), old.source_of("total"), old.source_of("channel")
        ('total', 'total', None)
        """
        reading = self.read.get(name, AS_IT_IS)
        if reading.from_ is not None:
            return reading.from_
        if name in self.properties:
            return name
        return None


def check_earlier(project: Project, path: Path, event: EventDefinition) -> Iterable[Problem]:
    """Find what is wrong with an event's older versions.

    Parameters
    ----------
    project : Project
    path : tuple
        Where the event is declared.
    event : EventDefinition

    Yields
    ------
    Problem
    """
    seen: set[int] = set()
    for place, old in enumerate(event.earlier):
        here: Path = (*path, "earlier", place)
        if not 1 <= old.version < event.version:
            hint = f"from 1 to below the current version, {event.version}"
            yield project.problem((*here, "version"), hint, old.version)
        if old.version in seen:
            what = f"version {old.version} of {path[-1]} is declared twice"
            yield project.problem((*here, "version"), "declare each version once", what=what)
        seen.add(old.version)
        yield from check_properties(project, (*here, "properties"), old.properties)
        for key in old.read:
            if key not in event.properties:
                yield project.unknown_key((*here, "read", key), event.properties)
        for key, wanted in event.properties.items():
            yield from _check_reading(project, here, event, old, key, wanted)


def _check_reading(
    project: Project,
    here: Path,
    event: EventDefinition,
    old: EarlierVersion,
    key: str,
    wanted: PropertyDefinition,
) -> Iterable[Problem]:
    """Find what keeps one property from being filled with what it says it holds."""
    path: Path = (*here, "read", key)
    name = f"events.{here[1]}"
    reading = old.read.get(key, AS_IT_IS)
    source = old.source_of(key)
    if source is not None and source not in old.properties:
        yield project.unknown((*path, "from"), source, old.properties)
        return
    if reading.default is not None:
        yield from _check_default(project, path, event, key, wanted, reading)
    if source is None:
        if reading.times is not None:
            hint = "name the older property: from = …"
            yield project.problem((*path, "times"), hint, str(reading.times))
        if wanted.required and reading.default is None:
            what = f"{name}: version {old.version} says nothing of {key!r}, which is required"
            hint = f'add to read: {key} = "an older property" or {key} = {{ default = … }}'
            yield project.problem(path, hint, what=what)
        return
    found = old.properties[source]
    whose = f"{name}: {source!r} of version {old.version}"
    if not _fits(found, wanted):
        what = f"{whose} is {found.type} and is read as {key!r}, which is {wanted.type}"
        hint = "read it from a property of the same type, or give a default"
        yield project.problem(path, hint, what=what)
        return
    yield from _check_unit(project, path, whose, found, wanted, reading)
    if wanted.required and not found.required and reading.default is None:
        what = f"{whose} may be missing, and is read as {key!r}, which is required"
        hint = f"add default = … to read.{key}, or let {key} be missing"
        yield project.problem(path, hint, what=what)
    if strictest(wanted.privacy, found.privacy) != wanted.privacy:
        what = f"{whose} is {found.privacy} and is read as {key!r}, which is {wanted.privacy}"
        yield project.problem(path, f'tag {key} privacy = "{found.privacy}"', what=what)


def _fits(found: PropertyDefinition, wanted: PropertyDefinition) -> bool:
    if (found.type, wanted.type) == ("integer", "number"):
        return True
    return found.type == wanted.type and found.of == wanted.of


def _check_unit(
    project: Project,
    path: Path,
    whose: str,
    found: PropertyDefinition,
    wanted: PropertyDefinition,
    reading: Reading,
) -> Iterable[Problem]:
    times = reading.times
    if times is None:
        if found.unit != wanted.unit:
            what = f"{whose} counts {found.unit!r} and is read as {wanted.unit!r}"
            yield project.problem(path, "add times = … (1 when only the word changed)", what=what)
        return
    if wanted.type not in _COUNTED:
        hint = "times is for integer and number"
        yield project.problem((*path, "times"), hint, str(times))
    elif times == 0 or (wanted.type == "integer" and times != times.to_integral_value()):
        hint = "a number, not 0; for an integer a whole one"
        yield project.problem((*path, "times"), hint, str(times))


def _check_default(
    project: Project,
    path: Path,
    event: EventDefinition,
    key: str,
    wanted: PropertyDefinition,
    reading: Reading,
) -> Iterable[Problem]:
    if key in event.unique:
        what = f"{key!r} names one fact, so no default can stand for it"
        yield project.problem((*path, "default"), "name an older property: from = …", what=what)
    asked = record("default", {key: structs.replace(wanted, required=True)}, project.currency)
    try:
        # As it would come over the wire, where no number is infinite.
        msgspec.json.decode(msgspec.json.encode({key: reading.default}), type=asked)
    except msgspec.ValidationError:
        hint = f"{key} is {wanted.type}: write what an event could say"
        yield project.problem((*path, "default"), hint, reading.default)
