"""``[sources.NAME]`` and ``[events.NAME]``: who tells us what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import is_name, named
from liftwerk.definitions.typed import Rate, Retention, Share
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
)
"""Columns that every event table has; no property may be named so."""


class Source(Struct, frozen=True):
    """``[sources.NAME]``: a place events come from.

    Attributes
    ----------
    kind : str
        ``http`` (a collector with a write key) or ``file``.
    trust : str
        Whose word it is. Rewards are read only from ``server`` and ``import``.
    description : str
        What it is.
    key_env : str or None
        The environment variable that holds the write key of an ``http`` source.
    rate_limit : Rate or None
        Events it may send.
    origins : tuple of str
        Web origins whose pages may send, such as ``https://shop.example``; empty for any.
    bots : str
        ``drop`` leaves out what programs send that call themselves bots.
    sample : Share
        The part of the customers that is kept, whole; each event's weight says so.
    """

    kind: Literal["http", "file"]
    trust: Literal["server", "browser", "partner", "import"]
    description: str = ""
    key_env: str | None = None
    rate_limit: Rate | None = None
    origins: tuple[str, ...] = ()
    bots: Literal["keep", "drop"] = "keep"
    sample: Share = Share("100%")


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


class EventDefinition(Struct, frozen=True):
    """``[events.NAME]``: one kind of fact.

    Attributes
    ----------
    version : int
        Version of the schema, from 1.
    description : str
        What happened when it occurs.
    owner : str
        Who answers for it.
    retention : Retention or None
        How long it is kept; None for as long as the project.
    unique : tuple of str
        Properties that together name one fact: different ids with the same key are one.
    properties : dict of str to PropertyDefinition
        Its typed properties.
    """

    version: int
    description: str
    owner: str = ""
    retention: Retention | None = None
    unique: tuple[str, ...] = ()
    properties: dict[str, PropertyDefinition] = {}


def _text(
    description: str, *, required: bool = True, privacy: Tag = "none", choices: tuple[str, ...] = ()
) -> PropertyDefinition:
    return PropertyDefinition(
        "string", privacy=privacy, choices=choices, required=required, description=description
    )


def _texts(description: str, *, required: bool = True) -> PropertyDefinition:
    return PropertyDefinition("list", required=required, description=description, of="string")


def _share(description: str, *, minimum: str = "0", required: bool = True) -> PropertyDefinition:
    return PropertyDefinition(
        "number",
        minimum=Decimal(minimum),
        maximum=Decimal(1),
        required=required,
        description=description,
    )


STAGES = ("draft", "shadow", "canary", "champion", "retired", "logged")
"""Stage of the release that chose; ``logged`` when the choice was made outside and imported."""

_RESERVED = "liftwerk"

RESERVED: dict[str, EventDefinition] = {
    "consent_changed": EventDefinition(
        version=1,
        description="A customer granted or withdrew consent for purposes",
        owner=_RESERVED,
        properties={
            "granted": _texts("Purposes granted from now on"),
            "withdrawn": _texts("Purposes withdrawn"),
        },
    ),
    "identity_linked": EventDefinition(
        version=1,
        description="Two identifiers were seen to be one customer",
        owner=_RESERVED,
        properties={"evidence": _text("How it is known", required=False)},
    ),
    # The envelope's id is the decision's id, and its time the decision's time.
    "decision_made": EventDefinition(
        version=1,
        description="An action was drawn for a unit, with known probabilities",
        owner=_RESERVED,
        properties={
            "unit": _text("Whom it was made for", required=False, privacy="pseudonymous"),
            "placement": _text("Where the action appears"),
            "release": _text("The release that chose", required=False),
            "policy_state": _text("What the policy had learned, by hash", required=False),
            "stage": _text("Stage of the release", required=False, choices=STAGES),
            "eligible": _texts("Actions that could have been drawn"),
            "action": _text("The action drawn"),
            "probability": _share("Probability of the action drawn", minimum="1E-9"),
            "probabilities": PropertyDefinition(
                "list", required=False, description="Of each eligible action", of="number"
            ),
            "draw": _share("The uniform number that chose", required=False),
            "control_action": _text("Business as usual at the placement"),
            "expected_reward": PropertyDefinition(
                "number", required=False, description="What the policy expected of the action"
            ),
            "reward_version": _text("The reward's definition, by hash", required=False),
            "feature_snapshot": _text("What was known, by hash", required=False),
            "guardrails": _texts("Guardrails that applied", required=False),
            "experiment": _text("The experiment it belongs to", required=False),
            "arm": _text("The experiment's arm", required=False),
            "latency_us": PropertyDefinition(
                "integer",
                unit="microseconds",
                minimum=Decimal(0),
                required=False,
                description="Time it took to decide",
            ),
        },
    ),
    "decision_outcome": EventDefinition(
        version=1,
        description="What a decision earned, by a reward's definition",
        owner=_RESERVED,
        properties={
            "reward": _text("The reward's metric"),
            "reward_version": _text("The reward's definition, by hash"),
            "value": PropertyDefinition("number", description="What it earned"),
        },
    ),
    "variant_shown": EventDefinition(
        version=1,
        description="A piece of content was shown",
        owner=_RESERVED,
        properties={"variant": _text("The variant's id"), "placement": _text("Where")},
    ),
    "assigned": EventDefinition(
        version=1,
        description="A unit was given an arm of an experiment or its place in the holdout",
        owner=_RESERVED,
        properties={
            "experiment": _text("The experiment"),
            "arm": _text("The arm"),
            "probability": _share("Probability of the arm", minimum="1E-9"),
        },
    ),
    "guardrail_blocked": EventDefinition(
        version=1,
        description="A guardrail kept an action from being drawn",
        owner=_RESERVED,
        properties={
            "placement": _text("Where"),
            "action": _text("What was kept back"),
            "guardrail": _text("By which guardrail"),
        },
    ),
    "features_served": EventDefinition(
        version=1,
        description="Feature values were given out, with the knowledge they rest on",
        owner=_RESERVED,
        properties={
            "features": _texts("Names"),
            "feature_snapshot": _text("The values, by hash"),
            "known_offset": PropertyDefinition("integer", description="Last offset known then"),
        },
    ),
    "message_sent": EventDefinition(
        version=1,
        description="A message left for a customer",
        owner=_RESERVED,
        properties={"channel": _text("By which channel"), "message": _text("The message's id")},
    ),
    "message_receipt": EventDefinition(
        version=1,
        description="What became of a message",
        owner=_RESERVED,
        properties={
            "message": _text("The message's id"),
            "status": _text("What became of it", choices=("delivered", "bounced", "failed")),
        },
    ),
}
"""Events that are built in; a project can refer to them but not redefine them."""


def known_events(project: Project) -> dict[str, EventDefinition]:
    """Return the project's events and the built-in ones, by name."""
    declared = project.get(EVENTS)
    return {**declared, **RESERVED}


LIVE = "decisions"
"""The source of decisions that were made live; no project declares it."""


_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


def _check_sources(project: Project) -> Iterable[Problem]:
    for name, source in project.get(SOURCES).items():
        if name == LIVE:
            what = f"the source {name!r} is built in"
            yield project.problem(("sources", name), "choose another name", what=what)
        if source.kind == "http" and source.key_env is None:
            what = f"sources.{name}.key_env is missing"
            hint = f'add key_env = "LIFTWERK_{name.upper()}_KEY", the variable with the write key'
            yield project.problem(("sources", name, "key_env"), hint, what=what)
        for place, origin in enumerate(source.origins):
            if not _ORIGIN.fullmatch(origin):
                hint = 'write scheme and host, such as "https://shop.example"'
                yield project.problem(("sources", name, "origins", place), hint, origin)
        if source.sample.exact == 0:
            hint = "keep a part above 0, or take the source out"
            yield project.problem(("sources", name, "sample"), hint, str(source.sample))
        if source.kind == "http" and source.trust == "import":
            hint = "only a file is an import: one of server, browser, partner"
            yield project.problem(("sources", name, "trust"), hint, source.trust)


def _check_events(project: Project) -> Iterable[Problem]:
    for name, event in project.get(EVENTS).items():
        path: Path = ("events", name)
        if name in RESERVED:
            what = f"the event {name!r} is built in"
            yield project.problem(path, "choose another name", what=what)
        if event.version < 1:
            yield project.problem((*path, "version"), "count versions from 1", event.version)
        for place, key in enumerate(event.unique):
            if key not in event.properties:
                yield project.unknown((*path, "unique", place), key, event.properties)
        for key in _currencies(event) & set(event.properties):
            what = f"the property name {key!r} is taken by the money beside it"
            yield project.problem((*path, "properties", key), "choose another name", what=what)
        for key, definition in event.properties.items():
            yield from _check_property(project, (*path, "properties", key), key, definition)


def _currencies(event: EventDefinition) -> set[str]:
    """Name the columns that hold the currency of an event's money."""
    return {f"{key}_currency" for key, item in event.properties.items() if item.type == "money"}


def _check_property(
    project: Project, path: Path, name: str, definition: PropertyDefinition
) -> Iterable[Problem]:
    if not is_name(name):
        hint = "use lower case letters, digits and _, a letter first"
        yield project.problem(path, hint, what=f"the property name {name!r} cannot be used")
    if name in ENVELOPE_COLUMNS or name.startswith("leaf_"):
        what = f"the property name {name!r} is taken by the envelope"
        yield project.problem(path, "choose another name", what=what)
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


SOURCES = named("sources", Source, _check_sources)
EVENTS = named("events", EventDefinition, _check_events)
