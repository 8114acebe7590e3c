"""``[destinations.NAME]``: who is told which events, under which names, for which purpose."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from liftwerk.connectors.destinations.kinds import KINDS
from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.definitions.typed import Duration, Rate, Share
from liftwerk.events.definition import EventDefinition, known_events
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.privacy.definition import PURPOSES

DELIVERY_MOST = timedelta(days=7)
"""How long delivery fields may wait: no vendor that asks for them takes older events."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that may be told without encryption."""


class SentProperty(Struct, frozen=True):
    """What fills one of the vendor's fields. Short form: the property's name.

    Attributes
    ----------
    property : str
        Our property.
    fields : dict of str to str
        For a list of rows: their field -> ours.
    """

    property: str
    fields: dict[str, str] = {}

    @classmethod
    def shorthand(cls, text: str) -> SentProperty:
        """Read a property's name."""
        return cls(text)


class SentIdentifier(Struct, frozen=True):
    """What fills one of the vendor's identifiers. Short form: the namespace.

    Attributes
    ----------
    namespace : str
        Our namespace of identifiers.
    hash : bool
        Send the SHA-256 of the normalised value; vendors that demand it always get it so.
    """

    namespace: str
    hash: bool = False

    @classmethod
    def shorthand(cls, text: str) -> SentIdentifier:
        """Read a namespace."""
        return cls(text)


class SentEvent(Struct, frozen=True):
    """One event that is sent. Short form: its name.

    Attributes
    ----------
    event : str
        Our event.
    name : str or None
        What the vendor calls it; our name by default.
    properties : dict of str to SentProperty, or None
        Their field -> our property. By default every property under its own name that is not
        tagged personal or sensitive.
    """

    event: str
    name: str | None = None
    properties: dict[str, SentProperty] | None = None

    @classmethod
    def shorthand(cls, text: str) -> SentEvent:
        """Read an event's name."""
        return cls(text)

    @property
    def sent_name(self) -> str:
        """What the vendor gets to see."""
        return self.name or self.event


class Destination(Struct, frozen=True):
    """``[destinations.NAME]``: a system that is told what happened.

    Attributes
    ----------
    kind : str
        ``webhook``, ``ga4`` (Measurement Protocol) or ``meta`` (Conversions API).
    purpose : str
        What it is told for: only events that may be used for it are sent.
    secret_env : str
        The environment variable with the signing secret, API secret or access token.
    events : tuple of SentEvent
        The events it is told.
    identifiers : dict of str to SentIdentifier
        Their identifier -> our namespace.
    url : str or None
        Where to send; the vendor's own address by default. A webhook needs one.
    measurement_id : str or None
        For ``ga4``: the web stream's id, ``G-…``.
    dataset_id : str or None
        For ``meta``: the dataset's (pixel's) id.
    action_source : str or None
        For ``meta``: where the events happened.
    delivery : tuple of str
        For ``meta``: the fields that an event may carry for its delivery alone. They wait sealed,
        are in no table, and are gone when the event is sent.
    delivery_for : Duration
        How long they wait at most; up to seven days.
    sample : Share
        The share of customers whose events are sent, always the same ones.
    rate_limit : Rate or None
        The most events sent.
    start : str
        Where a new destination begins: ``now``, or at the ``beginning`` of the log.
    timeout : Duration
        How long to wait for an answer.
    description : str
        What it is.
    """

    kind: Literal["webhook", "ga4", "meta"]
    purpose: str
    secret_env: str
    events: tuple[SentEvent, ...]
    identifiers: dict[str, SentIdentifier] = {}
    url: str | None = None
    measurement_id: str | None = None
    dataset_id: str | None = None
    action_source: (
        Literal[
            "system_generated", "physical_store", "email", "phone_call", "chat", "other", "website"
        ]
        | None
    ) = None
    delivery: tuple[str, ...] = ()
    delivery_for: Duration = Duration("2d")
    sample: Share = Share("100%")
    rate_limit: Rate | None = None
    start: Literal["now", "beginning"] = "now"
    timeout: Duration = Duration("10s")
    description: str = ""

    @property
    def base_url(self) -> str:
        """Where to send."""
        return self.url or KINDS[self.kind].url

    def event_named(self, name: str) -> SentEvent:
        """Return how one of our events is sent."""
        return next(sent for sent in self.events if sent.event == name)


def _check(project: Project) -> Iterable[Problem]:
    for name, destination in project.get(DESTINATIONS).items():
        path: Path = ("destinations", name)
        purposes = project.get(PURPOSES)
        if destination.purpose not in purposes:
            yield project.unknown((*path, "purpose"), destination.purpose, purposes)
        if not destination.secret_env:
            hint = f'name a variable, "LIFTWERK_{name.upper()}_SECRET"'
            yield project.problem((*path, "secret_env"), hint, destination.secret_env)
        if destination.sample.exact == 0:
            yield project.problem((*path, "sample"), "above 0", str(destination.sample))
        if destination.timeout.microseconds == 0:
            yield project.problem((*path, "timeout"), "above 0", str(destination.timeout))
        yield from _check_url(project, (*path, "url"), destination)
        yield from _check_delivery(project, path, destination)
        for theirs, identifier in destination.identifiers.items():
            known = project.get(IDENTIFIERS)
            if identifier.namespace not in known:
                here = (*path, "identifiers", theirs)
                yield project.unknown(here, identifier.namespace, known)
        yield from _check_events(project, path, destination)
        yield from KINDS[destination.kind].problems(project, path, destination)


def _check_url(project: Project, path: Path, destination: Destination) -> Iterable[Problem]:
    if not destination.base_url:
        hint = 'add url = "https://…"'
        yield project.problem(path, hint, what=f"{dotted(path)} is missing")
        return
    parts = urlsplit(destination.base_url)
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if (parts.scheme != "https" and not is_local) or not parts.hostname:
        hint = "an https address; plain http only on this machine"
        yield project.problem(path, hint, destination.url)


def _check_delivery(project: Project, path: Path, destination: Destination) -> Iterable[Problem]:
    allowed = KINDS[destination.kind].delivery
    for place, field in enumerate(destination.delivery):
        here: Path = (*path, "delivery", place)
        if not allowed:
            what = f"{dotted(here)}: {destination.kind} takes no delivery fields"
            yield project.problem(here, "leave it out", what=what)
        elif field not in allowed:
            yield project.unknown(here, field, allowed)
        elif destination.delivery.index(field) != place:
            yield project.problem(here, "name a field once", field)
        elif field in destination.identifiers:
            yield project.problem(here, "it is one of the identifiers already", field)
    if not timedelta(0) < destination.delivery_for.timedelta <= DELIVERY_MOST:
        hint = f"above 0, up to {DELIVERY_MOST.days}d"
        yield project.problem((*path, "delivery_for"), hint, str(destination.delivery_for))


def _check_events(project: Project, path: Path, destination: Destination) -> Iterable[Problem]:
    known = known_events(project)
    if not destination.events:
        yield project.problem((*path, "events"), 'name the events, ["order_completed"]', [])
    told = [sent.event for sent in destination.events]
    for place, sent in enumerate(destination.events):
        here: Path = (*path, "events", place)
        if sent.event not in known:
            yield project.unknown(here, sent.event, known)
        elif told.index(sent.event) != place:
            yield project.problem(here, "a destination is told an event once", sent.event)
        else:
            yield from _check_properties(project, here, sent, known[sent.event])


def _check_properties(
    project: Project, path: Path, sent: SentEvent, declared: EventDefinition
) -> Iterable[Problem]:
    for theirs, ours in (sent.properties or {}).items():
        here = (*path, "properties", theirs)
        if ours.property not in declared.properties:
            yield project.unknown(here, ours.property, declared.properties)
            continue
        rows = declared.properties[ours.property].of
        if not isinstance(rows, dict):
            rows = {}
        for field, own in ours.fields.items():
            if own not in rows:
                yield project.unknown((*here, "fields", field), own, rows)


DESTINATIONS = named("destinations", Destination, _check)
