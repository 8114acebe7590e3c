"""Which reports of a conversion count in whose place: pairs of sources, with examples."""

from __future__ import annotations

import uuid

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.definition import known_events
from liftwerk.events.engine import quoted
from liftwerk.events.read import event_named, relations
from liftwerk.events.scan import SUPERSEDED_BY
from liftwerk.events.schema import schema_of
from liftwerk.store.stores import Stores


class Pair(Struct, frozen=True):
    """Two reports of one conversion, by their events' ids."""

    counts: str
    superseded: str


class Duplicates(Struct, frozen=True):
    """The reports of one source that count no more, because of another's.

    Attributes
    ----------
    event : str
        What they tell of.
    counts : str
        The source whose report counts.
    superseded : str
        The source whose report does not.
    count : int
        How many.
    examples : tuple of Pair
        The first of them.
    """

    event: str
    counts: str
    superseded: str
    count: int
    examples: tuple[Pair, ...]


def duplicates(
    project: Project,
    stores: Stores,
    name: str | None = None,
    purpose: str = "deduplication",
    examples: int = 3,
) -> list[Duplicates]:
    """List conversions that were told more than once, by who told them.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str, optional
        The event; by default each that declares ``unique``.
    purpose : str
        Which report counts depends on it: what may not be read takes no other's place. The built-in
        ``deduplication`` looks at all of them but test traffic.
    examples : int
        Most examples of each pair of sources, at least 1.

    Returns
    -------
    list of Duplicates
        In the order of events, the most frequent pairs first.

    Raises
    ------
    UnknownName
        If the event or the purpose is not declared.
    InputError
        If the event declares no ``unique``, or no example is asked for.
    """
    unique = [key for key, event in known_events(project).items() if event.unique]
    if name is not None:
        event_named(schema_of(project), name)
        if name not in unique:
            hint = 'declare what tells them apart: unique = ["order_id"]'
            raise InputError(f"{name} has no key", f"events.{name}", hint)
        unique = [name]
    if examples < 1:
        raise InputError(f"{examples} examples", "--limit", "ask for 1 or more")
    found: list[Duplicates] = []
    with relations(project, stores, purpose, names=unique, superseded=True) as connection:
        for event in unique:
            rows = connection.sql(
                f"""
                SELECT best.source, other.source, count(*) AS many,
                  arg_min(best.id, other."offset", {examples}),
                  arg_min(other.id, other."offset", {examples})
                FROM {quoted(event)} AS other
                JOIN {quoted(event)} AS best ON best.id = other.{SUPERSEDED_BY}
                WHERE NOT other.synthetic
                GROUP BY 1, 2 ORDER BY many DESC, 1, 2
                """
            ).fetchall()
            found += [
                Duplicates(event, counts, superseded, many, _pairs(best, other))
                for counts, superseded, many, best, other in rows
            ]
    return found


def _pairs(best: list[bytes], other: list[bytes]) -> tuple[Pair, ...]:
    ids = zip(best, other, strict=True)
    return tuple(Pair(*(str(uuid.UUID(bytes=one)) for one in pair)) for pair in ids)
