"""What was published stays as it is: the shape of a version of which rows are kept.

The first compaction of a version's rows publishes its shape. From then on the version may grow, by
an optional property, a wider bound, another choice; whatever would make the rows that are kept say
something else needs a new version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec import Struct, structs

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.events.definition import EVENTS, RESERVED, EventDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.schema import EventType
from liftwerk.store.ledger import Ledger, PublishedSchema


class Shape(Struct, frozen=True):
    """What of a version's definition decides what its rows say.

    Attributes
    ----------
    properties : dict of str to PropertyDefinition
        Without their descriptions.
    unique : tuple of str
        The key that makes two events one.
    """

    properties: dict[str, PropertyDefinition]
    unique: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(Shape)


def shape_of(definition: EventDefinition) -> Shape:
    """Return the shape of a version.

    Examples
    --------
    >>> stars = PropertyDefinition("integer", description="How many")
    >>> shape_of(EventDefinition(1, "A rating", properties={"stars": stars})).properties["stars"]
    PropertyDefinition(type='integer', ..., description='', of=None, retention=None)
    """
    properties = {
        name: structs.replace(one, description="", retention=None)
        for name, one in definition.properties.items()
    }
    return Shape(properties, definition.unique)


def to_publish(
    ledger: Ledger, kinds: Iterable[EventType], at: datetime
) -> Sequence[PublishedSchema]:
    """Return the shapes that a compaction has to publish: new ones, and those that have grown.

    Parameters
    ----------
    ledger : Ledger
    kinds : iterable of EventType
        The versions that rows were written of.
    at : datetime

    Returns
    -------
    sequence of PublishedSchema
        For `Ledger.publish_schema`. What is built in is not listed: it changes with liftwerk.
    """
    known = {(one.name, one.version): one.shape for one in ledger.published_schemas()}
    news = []
    for kind in kinds:
        if kind.name in RESERVED:
            continue
        key = (kind.name, kind.definition.version)
        shape = shape_of(kind.definition)
        if kind.earlier is not None and key in known:
            # An older version has no key of its own any more; it keeps the one it had.
            shape = structs.replace(shape, unique=_decoder.decode(known[key]).unique)
        text = msgspec.json.encode(shape, order="sorted").decode()
        if known.get(key) != text:
            news.append(PublishedSchema(*key, text, at))
    return news


def demand_compatible(project: Project, ledger: Ledger) -> None:
    """Refuse definitions under which the rows that are kept would say something else.

    Parameters
    ----------
    project : Project
    ledger : Ledger

    Raises
    ------
    DefinitionError
        The first of `broken`, if there is any.
    """
    for problem in broken(project, ledger):
        raise problem.error()


def broken(project: Project, ledger: Ledger) -> Iterator[Problem]:
    """Find what a project declares otherwise than it was published.

    Parameters
    ----------
    project : Project
    ledger : Ledger

    Yields
    ------
    Problem
        One for each property that changed. An event that is not declared at all is none: its rows
        are kept, and nobody reads them.
    """
    declared = project.get(EVENTS)
    for published in ledger.published_schemas():
        event = declared.get(published.name)
        if event is not None:
            was = _decoder.decode(published.shape)
            yield from _broken(project, published.name, event, published.version, was)


def _broken(
    project: Project, name: str, event: EventDefinition, version: int, was: Shape
) -> Iterator[Problem]:
    path: Path = ("events", name)
    said = f"events.{name}: version {version} is published, and"
    if version == event.version:
        hint = f"raise version to {version + 1} and declare how version {version} is read"
        shape = shape_of(event)
        for key, change in changes(was, shape):
            yield project.problem((*path, "properties", key), hint, what=f"{said} {change}")
        if set(was.unique) != set(shape.unique):
            change = f"unique was {_listed(was.unique)} and is {_listed(shape.unique)}"
            yield project.problem((*path, "unique"), hint, what=f"{said} {change}")
        return
    for place, old in enumerate(event.earlier):
        if old.version == version:
            here = (*path, "earlier", place, "properties")
            hint = "write it as it was: what it is read as stands in read"
            for key, change in changes(was, Shape(old.properties)):
                yield project.problem((*here, key), hint, what=f"{said} {change}")
            return
    hint = f"put version back to {version}, or to what comes after it"
    if version < event.version:
        hint = f"add [[events.{name}.earlier]] with version = {version} and how it is read"
    yield project.problem((*path, "version"), hint, what=f"{said} no longer declared")


def changes(was: Shape, now: Shape) -> Iterator[tuple[str, str]]:
    """Say what changed in properties so that old rows and new ones no longer agree.

    Parameters
    ----------
    was, now : Shape

    Yields
    ------
    (str, str)
        The property, and in words what changed about it.

    Examples
    --------
    >>> old = Shape({"stars": PropertyDefinition("integer", maximum=Decimal(5))})
    >>> new = Shape({"stars": PropertyDefinition("integer", maximum=Decimal(3))})
    >>> list(changes(old, new)), list(changes(new, old))
    ([('stars', "maximum of 'stars' was 5 and is 3")], [])
    """
    for key, before in was.properties.items():
        after = now.properties.get(key)
        if after is None:
            yield key, f"its property {key!r} is gone"
            continue
        for change in _changed(key, before, after):
            yield key, change
    for key, after in now.properties.items():
        if key not in was.properties and after.required:
            yield key, f"its new property {key!r} is required"


def _changed(key: str, before: PropertyDefinition, after: PropertyDefinition) -> Iterator[str]:
    if before.type != after.type:
        yield f"{key!r} was {before.type} and is {after.type}"
        return
    if before.of != after.of:
        yield f"the items of {key!r} were {_items(before)} and are {_items(after)}"
    if before.unit != after.unit:
        yield f"the unit of {key!r} was {before.unit!r} and is {after.unit!r}"
    if after.required and not before.required:
        yield f"{key!r} was optional and is required"
    if _is_tighter(before.minimum, after.minimum, 1):
        yield f"minimum of {key!r} was {_bound(before.minimum)} and is {after.minimum:f}"
    if _is_tighter(before.maximum, after.maximum, -1):
        yield f"maximum of {key!r} was {_bound(before.maximum)} and is {after.maximum:f}"
    if after.choices and not before.choices:
        yield f"{key!r} was any text and has choices"
    lost = [choice for choice in before.choices if choice not in after.choices]
    if after.choices and lost:
        yield f"choices of {key!r} have lost {', '.join(map(repr, lost))}"


def _is_tighter(before: Decimal | None, after: Decimal | None, sign: int) -> bool:
    if after is None:
        return False
    if before is None:
        return True
    return sign * after > sign * before


def _bound(value: Decimal | None) -> str:
    if value is None:
        return "none"
    return f"{value:f}"


def _items(definition: PropertyDefinition) -> str:
    if isinstance(definition.of, dict):
        return "{" + ", ".join(f"{key}: {kind}" for key, kind in definition.of.items()) + "}"
    return str(definition.of)


def _listed(names: Sequence[str]) -> str:
    return "[" + ", ".join(names) + "]"
