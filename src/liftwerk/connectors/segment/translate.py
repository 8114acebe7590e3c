"""One of Segment's calls -> the wire events it stands for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from liftwerk.connectors.destinations.delivery import delivery_fields
from liftwerk.connectors.segment.definition import (
    CALLS,
    SEGMENT,
    SegmentMapping,
    underscored,
)
from liftwerk.definitions.project import Project
from liftwerk.events.definition import EventDefinition, known_events
from liftwerk.events.delivery.fields import DELIVERY, is_fit
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.ids import made_id
from liftwerk.events.properties import ItemType, PropertyDefinition
from liftwerk.privacy.definition import PURPOSES

LINK = "identity_linked"

USUAL = {
    "userId": ("customer", "customer_id", "user", "user_id"),
    "anonymousId": ("visitor", "visitor_id", "device", "anonymous_id"),
    "traits.email": ("email",),
    "traits.phone": ("phone",),
}
"""Segment's field -> the namespaces it is taken for when the project declares one of them."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Calls:
    """Everything that a translation asks the project.

    Parameters
    ----------
    mapping : SegmentMapping
    namespaces : mapping of str to str
        Segment's field -> declared namespace.
    events : mapping of str to EventDefinition
    purposes : frozenset of str
    delivery : tuple of str
        The fields that destinations declare for delivery alone.
    """

    mapping: SegmentMapping
    namespaces: Mapping[str, str]
    events: Mapping[str, EventDefinition]
    purposes: frozenset[str]
    delivery: tuple[str, ...] = ()

    @classmethod
    def of(cls, project: Project) -> Calls:
        """Read a project, once."""
        mapping = project.find(SEGMENT) or SegmentMapping()
        declared = project.get(IDENTIFIERS)
        namespaces = {
            field: next(name for name in usual if name in declared)
            for field, usual in USUAL.items()
            if any(name in declared for name in usual)
        }
        namespaces.update(mapping.identifiers)
        purposes = frozenset(project.get(PURPOSES))
        return cls(mapping, namespaces, known_events(project), purposes, delivery_fields(project))


def translate(calls: Calls, kind: str, message: Json, sent_at: str | None = None) -> list[Json]:
    """Turn one call into wire events.

    Parameters
    ----------
    calls : Calls
    kind : str
        One of `KINDS`.
    message : dict
        As Segment's clients send it.
    sent_at : str, optional
        Of the batch it came in.

    Returns
    -------
    list of dict
        Mostly one; none where a call says nothing that is kept (an ``identify`` with one
        identifier, and traits that no event is declared for). Whether an event is right is found
        out when it is admitted.

    Examples
    --------
    >>> calls = Calls(SegmentMapping(), {"userId": "customer"}, {}, frozenset())
    >>> message = {"messageId": "m-1", "event": "Song Played", "userId": "u1", "properties": {}}
    >>> event = translate(calls, "track", message)[0]
    >>> event["name"], event["identifiers"]
    ('song_played', {'customer': 'u1'})
    """
    return [event | _envelope(calls, message, sent_at) for event in KINDS[kind](calls, message)]


def _track(calls: Calls, message: Json) -> Iterator[Json]:
    said = str(message.get("event", ""))
    name = calls.mapping.events.get(said, underscored(said))
    yield _event(calls, message, name, _mapping(message.get("properties")))


def _page(kind: str) -> Callable[[Calls, Json], Iterator[Json]]:
    def page(calls: Calls, message: Json) -> Iterator[Json]:
        given = _mapping(message.get("properties"))
        for key in ("name", "category"):
            if message.get(key) is not None:
                given.setdefault(key, message[key])
        name = calls.mapping.events.get(kind, CALLS[kind])
        # A page says much of itself by custom: what the project didn't ask for is left out.
        wanted = calls.events.get(name)
        if wanted is not None:
            given = _wanted(calls, name, wanted, given)
        yield _event(calls, message, name, given)

    return page


def _identify(calls: Calls, message: Json) -> Iterator[Json]:
    traits = _traits(message)
    found = _identifiers(calls, message)
    if len(found) > 1:
        yield _event(calls, message, LINK, {"evidence": "identify"}, part="link")
    name = calls.mapping.events.get("identify", CALLS["identify"])
    if name:
        taken = {field.removeprefix("traits.") for field in calls.namespaces}
        kept = {key: value for key, value in traits.items() if key not in taken}
        yield _event(calls, message, name, kept)


def _alias(calls: Calls, message: Json) -> Iterator[Json]:
    yield _event(calls, message, LINK, {"evidence": "alias"})


def _group(calls: Calls, message: Json) -> Iterator[Json]:
    given = _traits(message)
    given.setdefault("group_id", message.get("groupId"))
    name = calls.mapping.events.get("group", CALLS["group"])
    wanted = calls.events.get(name)
    if wanted is not None:
        given = _wanted(calls, name, wanted, given)
    yield _event(calls, message, name, given)


KINDS: dict[str, Callable[[Calls, Json], Iterator[Json]]] = {
    "track": _track,
    "identify": _identify,
    "page": _page("page"),
    "screen": _page("screen"),
    "group": _group,
    "alias": _alias,
}
"""Segment's calls, each a line."""


def _event(calls: Calls, message: Json, name: str, given: Json, part: str = "") -> Json:
    definition = calls.events.get(name)
    properties = given
    version = 1
    if definition is not None:
        version = definition.version
        properties = _properties(calls, name, definition, given)
    return {
        "id": _id(message, part),
        "name": name,
        "version": version,
        "properties": properties,
    }


def _properties(calls: Calls, name: str, definition: EventDefinition, given: Json) -> Json:
    """Spell the properties as they are declared."""
    theirs = calls.mapping.properties.get(name, {})
    properties = {ours: given[key] for ours, key in theirs.items() if given.get(key) is not None}
    used = set(theirs.values())
    for key, value in given.items():
        ours = underscored(key)
        if key in used or value is None or ours in properties:
            continue
        if ours not in definition.properties and calls.mapping.undeclared == "ignore":
            continue
        properties[ours] = value
    return {
        key: _value(calls, definition.properties.get(key), value)
        for key, value in properties.items()
    }


def _wanted(calls: Calls, name: str, definition: EventDefinition, given: Json) -> Json:
    theirs = set(calls.mapping.properties.get(name, {}).values())
    return {
        key: value
        for key, value in given.items()
        if key in theirs or underscored(key) in definition.properties
    }


def _value(calls: Calls, definition: PropertyDefinition | None, value: Any) -> Any:
    """Write an amount as the decimal text it was meant as: 29.99 is no binary fraction."""
    if definition is None or isinstance(value, bool):
        return value
    if isinstance(definition.of, dict) and isinstance(value, list):
        return [_row(calls, definition.of, row) for row in value]
    if definition.type == "money" and isinstance(value, int | float):
        return f"{Decimal(str(value)):f}"
    if definition.type == "string" and isinstance(value, int):
        return str(value)
    return value


def _row(calls: Calls, fields: Mapping[str, ItemType], given: Any) -> Any:
    """Spell a row of a list, such as a product of an order, as it is declared."""
    if not isinstance(given, dict):
        return given
    row: Json = {}
    for key, value in given.items():
        ours = underscored(key)
        if ours in fields and value is not None:
            row.setdefault(ours, _value(calls, PropertyDefinition(fields[ours]), value))
        elif ours not in fields and calls.mapping.undeclared == "refuse":
            row[key] = value
    return row


def _envelope(calls: Calls, message: Json, sent_at: str | None) -> Json:
    envelope: Json = {
        "time": message.get("timestamp") or message.get("originalTimestamp") or sent_at,
        "identifiers": _identifiers(calls, message),
    }
    context = _mapping(message.get("context"))
    kept = _context(context)
    if kept:
        envelope["context"] = kept
    if calls.delivery:
        delivery = _delivery(calls, context)
        if delivery:
            envelope[DELIVERY] = delivery
    consent = _consent(calls, context)
    if consent is not None:
        envelope["consent"] = consent
    sent = sent_at or message.get("sentAt")
    if sent:
        envelope["sent_at"] = sent
    return envelope


def _identifiers(calls: Calls, message: Json) -> Json:
    found: Json = {}
    traits = _traits(message)
    # What the surest field says stays: an alias may name an anonymous id twice.
    for field, namespace in calls.namespaces.items():
        value = message.get(field)
        if field.startswith("traits."):
            value = traits.get(field.removeprefix("traits."))
        if value not in (None, ""):
            found.setdefault(namespace, str(value))
    previous = message.get("previousId")
    if previous and "previousId" not in calls.namespaces and "anonymousId" in calls.namespaces:
        found[calls.namespaces["anonymousId"]] = str(previous)
    return found


def _context(context: Json) -> Json:
    """Keep what is coarse: page, campaign, country; no address, no user agent."""
    kept: Json = {}
    path = _mapping(context.get("page")).get("path")
    if isinstance(path, str):
        kept["page"] = path
    campaign = _mapping(context.get("campaign"))
    if campaign:
        kept["campaign"] = campaign
    country = _mapping(context.get("location")).get("country")
    if isinstance(country, str):
        kept["country"] = country
    return kept


def _delivery(calls: Calls, context: Json) -> Json:
    """Take what a destination declares, as far as it is what it should be."""
    said = {
        "client_ip_address": context.get("ip"),
        "client_user_agent": context.get("userAgent"),
        "event_source_url": _mapping(context.get("page")).get("url"),
    }
    return {
        field: value
        for field, value in said.items()
        if field in calls.delivery and is_fit(field, value)
    }


def _consent(calls: Calls, context: Json) -> Json | None:
    """Read Segment's consent object; null where nothing was said."""
    said = _mapping(context.get("consent")).get("categoryPreferences")
    if not isinstance(said, dict):
        return None
    granted = {
        calls.mapping.consent.get(category, category)
        for category, is_granted in said.items()
        if is_granted is True
    }
    return {"granted": sorted(granted & calls.purposes), "source": "api"}


def _traits(message: Json) -> Json:
    traits = _mapping(_mapping(message.get("context")).get("traits"))
    return {**traits, **_mapping(message.get("traits"))}


def _mapping(value: Any) -> Json:
    if isinstance(value, dict):
        return dict(value)
    return {}


def _id(message: Json, part: str) -> str:
    """Keep a message's id if it is a UUID; else make one of it, the same at every retry."""
    said = str(message.get("messageId") or "")
    if not said:
        # Without one, the same message is the same event.
        said = msgspec.json.encode(message, order="sorted").decode()
    if part:
        return str(made_id("segment", part, said))
    try:
        return str(uuid.UUID(said))
    except ValueError:
        return str(made_id("segment", said))


def bodies(events: Sequence[Json]) -> list[bytes]:
    """Write wire events as JSON, one each.

    Examples
    --------
    >>> bodies([{"id": "1"}])
    [b'{"id":"1"}']
    """
    return [msgspec.json.encode(event) for event in events]
