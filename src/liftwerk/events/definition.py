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
from liftwerk.definitions.section import named
from liftwerk.definitions.typed import Duration, Rate, Retention, Share
from liftwerk.events.arrival import ArrivalChecks, check_arrival
from liftwerk.events.earlier import EarlierVersion, check_earlier
from liftwerk.events.properties import PropertyDefinition, check_properties
from liftwerk.privacy.tags import Tag


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
        An environment variable that holds a write key of an ``http`` source, beside those that
        ``liftwerk keys create`` made.
    rate_limit : Rate or None
        Events it may send.
    origins : tuple of str
        Web origins whose pages may send, such as ``https://shop.example``; empty for any.
    placements : tuple of str
        Where its keys may ask what a unit is shown; empty for everywhere.
    bots : str
        ``drop`` leaves out what programs send that call themselves bots.
    sample : Share
        The part of the customers that is kept, whole; each event's weight says so.
    silent_after : Duration or None
        How long it may send nothing before the inventory calls it silent; None: by its own rhythm.
    """

    kind: Literal["http", "file"]
    trust: Literal["server", "browser", "partner", "import"]
    description: str = ""
    key_env: str | None = None
    rate_limit: Rate | None = None
    origins: tuple[str, ...] = ()
    placements: tuple[str, ...] = ()
    bots: Literal["keep", "drop"] = "keep"
    sample: Share = Share("100%")
    silent_after: Duration | None = None


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
    earlier : tuple of EarlierVersion
        Older versions that are still taken, and how their rows are read as this one.
    checks : ArrivalChecks
        How it should keep coming: ``liftwerk features check`` looks.
    """

    version: int
    description: str
    owner: str = ""
    retention: Retention | None = None
    unique: tuple[str, ...] = ()
    properties: dict[str, PropertyDefinition] = {}
    earlier: tuple[EarlierVersion, ...] = ()
    checks: ArrivalChecks = ArrivalChecks()


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
    # An envelope holds one identifier a namespace: two of one namespace stand in two events.
    "identity_linked": EventDefinition(
        version=1,
        description="Two identifiers were seen to be one customer",
        owner=_RESERVED,
        properties={
            "evidence": _text("How it is known", required=False),
            "pair": _text("The same in two events that each name one of the two", required=False),
        },
    ),
    "identity_unlinked": EventDefinition(
        version=1,
        description="Two identifiers were seen not to be one customer",
        owner=_RESERVED,
        properties={
            "reason": _text("Why they are told apart"),
            "pair": _text("The same in two events that each name one of the two", required=False),
        },
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
            "feature_snapshot": _text("What was known, as JSON", required=False),
            "features_as_of": PropertyDefinition(
                "time", required=False, description="The time that these values are of"
            ),
            "known_offset": PropertyDefinition(
                "integer", required=False, description="The last offset that they know of"
            ),
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
        properties={
            "variant": _text("The variant's id"),
            "placement": _text("Where"),
            "experiment": _text("The experiment whose arm it is", required=False),
            "arm": _text("The experiment's arm", required=False),
        },
    ),
    "assigned": EventDefinition(
        version=1,
        description="A unit was given an arm of an experiment or its place in the holdout",
        owner=_RESERVED,
        properties={
            "experiment": _text("The experiment"),
            "arm": _text("The arm"),
            "probability": _share("Probability of the arm", minimum="1E-9"),
            "unit": _text(
                "The region or the stretch of time that has it, where it is nobody", required=False
            ),
            "tester": PropertyDefinition(
                "boolean", required=False, description="Whether the arm was forced, to try it"
            ),
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
            "view": _text("The view they were told from"),
            "purpose": _text("What they were told for"),
            "features": _texts("Names"),
            "versions": _texts("The version of each, by hash"),
            "rules": _text("What purposes and identity were declared to be, by hash"),
            "feature_snapshot": _text("The values, as JSON", privacy="personal"),
            "request": _text(
                "What came with the question, as JSON", required=False, privacy="personal"
            ),
            "features_as_of": PropertyDefinition(
                "time", description="The time that these values are of"
            ),
            "known_offset": PropertyDefinition(
                "integer", description="The last offset that they know of"
            ),
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
        yield from check_properties(project, (*path, "properties"), event.properties)
        yield from check_earlier(project, path, event)
        yield from check_arrival(project, (*path, "checks"), event.checks)


SOURCES = named("sources", Source, _check_sources)
EVENTS = named("events", EventDefinition, _check_events)
