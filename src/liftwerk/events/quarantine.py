"""What is in quarantine and why: grouped by reason, without a word of what the bodies say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.events.replay import is_row
from liftwerk.events.schema import Schema, schema_of
from liftwerk.store.inbox.protocol import Quarantined, QuarantineGroup
from liftwerk.store.stores import Stores


class Example(Struct, frozen=True):
    """One thing in quarantine, named and not told.

    Attributes
    ----------
    number : int
        Its number there.
    source : str
        Who sent it.
    received : datetime
        When it came.
    detail : str
        Where in the body, the file or the log it was refused.
    event : str or None
        The event, where it is a declared one.
    id : str or None
        The event's id.
    fields : tuple of str
        Paths of the declared fields that it has.
    undeclared : int
        How many other fields it has; their names may be anything, and are not shown.
    body : str or None
        All of it, only where that was asked for.
    """

    number: int
    source: str
    received: datetime
    detail: str
    event: str | None
    id: str | None
    fields: tuple[str, ...]
    undeclared: int
    body: str | None = None


class Group(Struct, frozen=True):
    """All that is in quarantine for one reason; ``sources`` says how many from whom."""

    reason: str
    count: int
    sources: dict[str, int]
    first: datetime
    last: datetime
    examples: tuple[Example, ...]


def quarantined(
    project: Project,
    stores: Stores,
    reason: str | None = None,
    examples: int = 3,
    bodies: bool = False,
) -> list[Group]:
    """List what is in quarantine.

    Parameters
    ----------
    project : Project
    stores : Stores
    reason : str, optional
        Only reasons with this text in them.
    examples : int
        Most examples of each reason.
    bodies : bool
        Whether examples hold their whole bodies, which may be personal.

    Returns
    -------
    list of Group
        The largest first.
    """
    schema = schema_of(project)
    groups: dict[str, list[QuarantineGroup]] = {}
    for group in stores.inbox.quarantine_groups(examples):
        if reason is None or reason in group.reason:
            groups.setdefault(group.reason, []).append(group)
    found = []
    for why, parts in groups.items():
        numbers = sorted(number for part in parts for number in part.examples)[:examples]
        found.append(
            Group(
                reason=why,
                count=sum(part.count for part in parts),
                sources={part.source: part.count for part in parts},
                first=min(part.first for part in parts),
                last=max(part.last for part in parts),
                examples=tuple(_examples(schema, stores, numbers, bodies)),
            )
        )
    return sorted(found, key=lambda group: (-group.count, group.reason))


def _examples(
    schema: Schema, stores: Stores, numbers: list[int], bodies: bool
) -> Iterator[Example]:
    for number in numbers:
        # One that left meanwhile has no successor of its number.
        for kept in stores.inbox.quarantine_list(number - 1, 1):
            if kept.number == number:
                yield _example(schema, kept, bodies)


def _example(schema: Schema, kept: Quarantined, bodies: bool) -> Example:
    rejected = kept.rejected
    body = None
    if bodies:
        body = rejected.body.decode("utf-8", errors="replace")
    said: Any = None
    with suppress(ValueError, RecursionError):  # no JSON: there is nothing to name in it
        said = msgspec.json.decode(rejected.body)
    named: tuple[str | None, str | None, tuple[str, ...], int] = (None, None, (), 0)
    if isinstance(said, dict) and not is_row(rejected.body):
        named = (_event(schema, said), _id(said), *_fields(schema, said))
    return Example(
        kept.number, rejected.source, rejected.received, rejected.detail, *named, body=body
    )


def _event(schema: Schema, said: dict[str, Any]) -> str | None:
    name = said.get("name")
    if isinstance(name, str) and name in schema.types:
        return name
    return None


def _id(said: dict[str, Any]) -> str | None:
    try:
        return str(uuid.UUID(said["id"]))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _fields(schema: Schema, said: dict[str, Any]) -> tuple[tuple[str, ...], int]:
    """Name the declared fields of a body, and count the others."""
    name = _event(schema, said)
    envelope: set[str] = set()
    inner: dict[str, set[str]] = {"identifiers": set(schema.namespaces)}
    for kind in schema.versions(name or ""):
        envelope |= set(kind.struct.__struct_encode_fields__) | {"name"}
        inner.setdefault("properties", set()).update(kind.definition.properties)
    fields: list[str] = []
    others = 0
    for key, value in said.items():
        if key not in envelope:
            others += 1
        elif key in inner and isinstance(value, dict):
            fields += [f"{key}.{field}" for field in value if field in inner[key]]
            others += sum(field not in inner[key] for field in value)
        else:
            fields.append(key)
    return tuple(fields), others
