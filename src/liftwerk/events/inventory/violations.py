"""What was refused, by event and field, as far as the reasons name them.

A reason is written by `liftwerk.events.refusal` and begins with the place: ``EVENT.FIELD``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from liftwerk.events.schema import Schema
from liftwerk.store.inbox.protocol import QuarantineGroup

_UNKNOWN_EVENT = re.compile(
    r"unknown event (['\"])(.*)\1: (?:did you mean|known|none is)", re.DOTALL
)
_UNDECLARED = re.compile(
    r"([a-z][a-z0-9_]*)(?:\.([^:]*))?: no field (['\"])(.*)\3 is declared", re.DOTALL
)
_PLACE = re.compile(r"([a-z][a-z0-9_]*)(?:\.([^:\s]+))?(?:: | is missing)")
_IDENTIFIERS = "identifiers"


class Undeclared(NamedTuple):
    """Something that was sent and is not declared: an event, or a field of one."""

    event: str
    field: str | None
    is_identifier: bool = False


class Violations(NamedTuple):
    """How many bodies were refused.

    Attributes
    ----------
    events : Counter
        Event -> how many gave themselves its name.
    fields : Counter
        Event and property -> how many were refused for it.
    identifiers : Counter
        Namespace -> how many were refused for it.
    sources : Counter
        Source -> how many of its bodies.
    undeclared : Counter
        What is not declared -> how many named it.
    """

    events: Counter[str]
    fields: Counter[tuple[str, str]]
    identifiers: Counter[str]
    sources: Counter[str]
    undeclared: Counter[Undeclared]


def violations(
    schema: Schema, groups: Iterable[QuarantineGroup], since: datetime | None = None
) -> Violations:
    """Count what was refused.

    Parameters
    ----------
    schema : Schema
    groups : iterable of QuarantineGroup
    since : datetime or None
        Leave out the reasons for which nothing was refused since then.

    Returns
    -------
    Violations
    """
    found = Violations(Counter(), Counter(), Counter(), Counter(), Counter())
    for group in groups:
        if since is not None and group.last < since:
            continue
        found.sources[group.source] += group.count
        _add(found, schema, group)
    return found


def _add(found: Violations, schema: Schema, group: QuarantineGroup) -> None:
    unknown = _UNKNOWN_EVENT.match(group.reason)
    if unknown is not None:
        found.undeclared[Undeclared(unknown[2], None)] += group.count
        return
    place = _UNDECLARED.fullmatch(group.reason)
    if place is not None and place[1] in schema.types:
        event, within, _, name = place.groups()
        found.events[event] += group.count
        is_identifier = within == _IDENTIFIERS
        field = name
        if within and not is_identifier:
            field = f"{within}.{name}"
        found.undeclared[Undeclared(event, field, is_identifier)] += group.count
        return
    place = _PLACE.match(group.reason)
    if place is None or place[1] not in schema.types:
        return
    event, field = place.groups()
    found.events[event] += group.count
    if field is None:
        return
    head, _, rest = field.partition(".")
    head = head.partition("[")[0]
    if head in schema.types[event].definition.properties:
        found.fields[event, head] += group.count
    elif head == _IDENTIFIERS and rest in schema.namespaces:
        found.identifiers[rest] += group.count
