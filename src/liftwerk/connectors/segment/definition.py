"""``[segment]``: how Segment's calls become the project's events."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import one
from liftwerk.events.definition import known_events
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.privacy.definition import PURPOSES

CALLS = {
    "page": "page_viewed",
    "screen": "screen_viewed",
    "group": "group_joined",
    "identify": "",
}
"""Call -> the event it becomes unless the project says otherwise; an empty one becomes none.

``identify`` always links its identifiers; named an event, its traits are kept too.
"""

IDENTIFIERS_OF = ("userId", "anonymousId", "previousId", "groupId")


class SegmentMapping(Struct, frozen=True):
    """``[segment]``.

    Attributes
    ----------
    identifiers : dict of str to str
        Segment's field (``userId``, ``anonymousId``, or ``traits.email`` for a trait) -> declared
        namespace. ``previousId`` of an alias is an ``anonymousId``, unless it is named here.
    events : dict of str to str
        The name of a ``track`` event, or a call (``page``, ``screen``, ``group``, ``identify``)
        -> declared event. What is not here is spelled with underscores: "Order Completed" is
        ``order_completed``.
    properties : dict of str to dict of str to str
        Declared event -> declared property -> Segment's property. What is not here is spelled
        with underscores: ``productId`` is ``product_id``.
    undeclared : str
        Properties that the event does not declare: ``refuse`` the event, so that somebody
        notices, or ``ignore`` them.
    consent : dict of str to str
        Segment's consent category -> declared purpose; a category named as a purpose is it.
    """

    identifiers: dict[str, str] = {}
    events: dict[str, str] = {}
    properties: dict[str, dict[str, str]] = {}
    undeclared: Literal["refuse", "ignore"] = "refuse"
    consent: dict[str, str] = {}


@lru_cache(maxsize=4096)
def underscored(name: str) -> str:
    """Spell a name as the project does.

    Examples
    --------
    >>> underscored("Order Completed"), underscored("productId"), underscored("HTTPStatus code")
    ('order_completed', 'product_id', 'http_status_code')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^0-9A-Za-z]+", "_", parted).strip("_").lower()


def _check(project: Project) -> Iterable[Problem]:
    mapping = project.find(SEGMENT)
    if mapping is None:
        return
    namespaces = project.get(IDENTIFIERS)
    events = known_events(project)
    for field, namespace in mapping.identifiers.items():
        if namespace not in namespaces:
            yield project.unknown(("segment", "identifiers", field), namespace, namespaces)
        if field not in IDENTIFIERS_OF and not field.startswith("traits."):
            hint = f"one of {', '.join(IDENTIFIERS_OF)}, or traits.NAME"
            yield project.problem(("segment", "identifiers", field), hint, field)
    for name, event in mapping.events.items():
        if event not in events:
            yield project.unknown(("segment", "events", name), event, events)
    for event, properties in mapping.properties.items():
        if event not in events:
            yield project.unknown(("segment", "properties", event), event, events)
            continue
        declared = events[event].properties
        for name in properties:
            if name not in declared:
                yield project.unknown(("segment", "properties", event, name), name, declared)
    for category, purpose in mapping.consent.items():
        if purpose not in project.get(PURPOSES):
            where = ("segment", "consent", category)
            yield project.unknown(where, purpose, project.get(PURPOSES))


SEGMENT = one("segment", SegmentMapping, _check)
