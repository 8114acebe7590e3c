"""The shapes of an inventory: what ``liftwerk inventory --json`` prints."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

GapKind = Literal[
    "event never seen",
    "property never seen",
    "identifier never seen",
    "source never seen",
    "event not declared",
    "field not declared",
    "identifier not declared",
    "order without customer",
    "event without consent state",
    "session without consent state",
    "source fell silent",
]
"""What can be wrong, in the order in which it is told."""

DAYS = 28
"""How far back events are counted by day."""


class Quantiles(Struct, frozen=True):
    """How long something took, in seconds, each within 1% of itself."""

    events: int
    p50: float
    p95: float
    p99: float


class Latency(Struct, frozen=True):
    """From event time to receipt, and from receipt to being readable.

    ``to_us`` is None where nothing was seen, or all of it was imported: a file is as old as it is.
    """

    to_us: Quantiles | None = None
    to_readers: Quantiles | None = None


class Coverage(Struct, frozen=True):
    """How many events say something of consent, and for how many a purpose was granted in it.

    Attributes
    ----------
    events : int
        All that could say something: not the changes of consent themselves.
    known : int
        With consent state.
    missing : int
        That say nothing of consent.
    unreadable : int
        Whose consent manager's answer could not be read, or named no declared purpose.
    granted : dict of str to int
        Purpose that rests on consent -> events in which it was granted.
    """

    events: int = 0
    known: int = 0
    missing: int = 0
    unreadable: int = 0
    granted: dict[str, int] = {}


class Seen(Struct, frozen=True):
    """What was seen of something; test traffic is counted by itself, and in nothing else.

    Attributes
    ----------
    events : int
        Rows.
    weight : float
        Events that they stand for: each row counts its inverse sampling rate.
    synthetic : int
        Rows of test traffic.
    last_time, last_received : datetime or None
        When the newest one happened, and when the last one came.
    consent : Coverage
    latency : Latency
    """

    events: int = 0
    weight: float = 0.0
    synthetic: int = 0
    last_time: datetime | None = None
    last_received: datetime | None = None
    consent: Coverage = Coverage()
    latency: Latency = Latency()


class PropertyFacts(Struct, frozen=True):
    """One property: as it is declared, how many rows lack it, how many were refused for it.

    ``type`` is None where it is not declared: it is kept from before, or was refused.
    """

    name: str
    type: str | None
    required: bool
    privacy: str
    nulls: int
    refused: int
    unit: str = ""
    description: str = ""


class EventFacts(Struct, frozen=True):
    """One event.

    Attributes
    ----------
    name : str
    version : int or None
        The current one; None where the event is not declared.
    description, owner : str
    built_in : bool
        Declared by liftwerk and not by the project.
    unique : tuple of str
        What makes it a conversion.
    seen : Seen
    sources : dict of str to Seen
        The same by source.
    properties : tuple of PropertyFacts
    refused : int
        Bodies in quarantine that gave themselves this name.
    without_customer : int
        Rows that know a visitor at most.
    """

    name: str
    version: int | None
    description: str
    owner: str
    built_in: bool
    unique: tuple[str, ...]
    seen: Seen
    sources: dict[str, Seen]
    properties: tuple[PropertyFacts, ...]
    refused: int
    without_customer: int


class IdentifierFacts(Struct, frozen=True):
    """One namespace: how many rows name one, by source; of how many in all."""

    name: str
    normalise: str | None
    privacy: str
    anonymous: bool
    events: int
    of: int
    sources: dict[str, int]
    refused: int
    description: str = ""


class Silence(Struct, frozen=True):
    """Whether a source fell silent, judged by what it declares or by its own rhythm.

    ``state`` is sending, silent or unknown; ``because`` says why, in words.
    """

    state: Literal["sending", "silent", "unknown"]
    because: str


class SourceFacts(Struct, frozen=True):
    """One source.

    Attributes
    ----------
    name : str
    kind, trust : str or None
        None where it is not declared any more.
    sample : str
        The part of the customers that it keeps.
    seen : Seen
    refused : int
        What it sent that is in quarantine.
    sessions, sessions_without_consent : int
        Sessions, and those of which no event has consent state.
    silence : Silence
    days : tuple of int
        Events on each of the last `DAYS` days (UTC), the oldest first.
    description : str
    """

    name: str
    kind: str | None
    trust: str | None
    sample: str
    seen: Seen
    refused: int
    sessions: int
    sessions_without_consent: int
    silence: Silence
    days: tuple[int, ...]
    description: str = ""


class Gap(Struct, frozen=True):
    """Something that is missing; ``words`` say it in a sentence.

    ``count`` of ``of`` things are concerned, where they can be counted.
    """

    kind: GapKind
    words: str
    event: str | None = None
    field: str | None = None
    source: str | None = None
    count: int | None = None
    of: int | None = None


class Inventory(Struct, frozen=True):
    """Everything that is collected, and what is missing.

    Attributes
    ----------
    project : str
    at : datetime
        When it was taken.
    since : datetime or None
        Only what came since then is in it; None for all.
    snapshot, snapshot_at : str and datetime, or None
        What readers see; None before the first compaction.
    seen : Seen
        All events together.
    purposes : tuple of str
        Purposes that rest on consent.
    gaps, sources, events, identifiers : tuple
    """

    project: str
    at: datetime
    since: datetime | None
    snapshot: str | None
    snapshot_at: datetime | None
    seen: Seen
    purposes: tuple[str, ...]
    gaps: tuple[Gap, ...]
    sources: tuple[SourceFacts, ...]
    events: tuple[EventFacts, ...]
    identifiers: tuple[IdentifierFacts, ...]
