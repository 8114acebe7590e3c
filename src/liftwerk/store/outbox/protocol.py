"""What an outbox promises, and the rows that go in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

Outcome = Literal["delivered", "dropped", "dead"]
"""What may become of an event: sent, not sent for a reason, or refused by the vendor for good."""


class Entry(Struct, frozen=True):
    """An event that a destination has not been told yet.

    Attributes
    ----------
    offset : int
        The event's place in the log.
    event_id : bytes
        The event's id, 16 bytes.
    event : str
        The event's name.
    lane : bytes
        The customer's key: what is in one lane goes out in the order of the log.
    due : datetime
        When it may be tried.
    tries : int
        How often it was tried.
    strikes : int
        How often it failed though others went through since it was tried last.
    tried : datetime or None
        When it was tried last.
    reason : str
        Why it failed last.
    conversion : bytes or None
        What makes it one conversion, 16 bytes; a destination is told each once.
    """

    offset: int
    event_id: bytes
    event: str
    lane: bytes
    due: datetime
    tries: int = 0
    strikes: int = 0
    tried: datetime | None = None
    reason: str = ""
    conversion: bytes | None = None


class Sealed(Struct, frozen=True):
    """What an event brought for its delivery alone, encrypted for one destination.

    Attributes
    ----------
    destination : str
        Whose it is; nobody else can open it.
    event_id : bytes
        The event's id, 16 bytes.
    leaves : tuple of bytes
        Leaf keys of the event's identifiers: how an erasure finds it.
    key : str
        The day whose key sealed it.
    content : bytes
        What only that key opens.
    expires : datetime
        When it is gone at the latest.
    """

    destination: str
    event_id: bytes
    leaves: tuple[bytes, ...]
    key: str
    content: bytes
    expires: datetime


class Health(Struct, frozen=True):
    """How a destination has been answering.

    Attributes
    ----------
    failures : int
        Requests in a row that failed.
    opened : datetime or None
        Since when its circuit breaker is open; None while it is closed.
    not_before : datetime or None
        Nothing is sent before.
    succeeded, failed : datetime or None
        When a request last went through, and when one last failed.
    reason : str
        Why it last failed.
    """

    failures: int = 0
    opened: datetime | None = None
    not_before: datetime | None = None
    succeeded: datetime | None = None
    failed: datetime | None = None
    reason: str = ""


class Standing(Struct, frozen=True):
    """Where a destination stands: the last offset that was looked at, and its health."""

    position: int
    health: Health = Health()


class Settled(Struct, frozen=True):
    """What one request changed.

    Attributes
    ----------
    delivered : tuple of int
        Offsets that went through.
    dropped : dict of int to str
        Offset -> why it is not sent.
    dead : dict of int to str
        Offset -> why it can't be sent.
    again : tuple of Entry
        Entries to try again, as they stand now.
    """

    delivered: tuple[int, ...] = ()
    dropped: Mapping[int, str] = {}
    dead: Mapping[int, str] = {}
    again: tuple[Entry, ...] = ()


class Count(Struct, frozen=True):
    """How many events had an outcome for a reason, in the hour that begins at ``hour``."""

    hour: datetime
    outcome: Outcome
    reason: str
    many: int


class Waiting(Struct, frozen=True):
    """What waits: how many, the oldest of them, how many failed before, the next moment to try."""

    many: int
    oldest: int | None
    failed: int
    due: datetime | None


class Outbox(Protocol):
    """Positions, open events and counts of every destination, moved in one transaction.

    A position moves on only together with an entry or a counted reason for each event that it
    passes, so that a kill loses nothing.
    """

    def standing(self, destination: str) -> Standing | None:
        """Return where a destination stands; None before `begin`."""
        ...

    def begin(self, destination: str, position: int) -> Standing:
        """Start a destination at an offset; one that was started before stays where it is."""
        ...

    def take(
        self,
        destination: str,
        position: int,
        entries: Sequence[Entry],
        dropped: Mapping[str, int],
        at: datetime,
        unsent: Collection[bytes] = (),
    ) -> None:
        """Move the position on, keep an entry for each event to send, and count the rest.

        Of the events in ``unsent``, by their ids, what was sealed for the destination goes.

        Raises
        ------
        ValueError
            If the position would go back, or the destination was never begun.
        """
        ...

    def told(self, destination: str, conversions: Collection[bytes]) -> set[bytes]:
        """Return which conversions were taken before, and have no entry any more.

        While an entry is open, which of several events speaks for the conversion can still change.
        """
        ...

    def due(self, destination: str, at: datetime, limit: int) -> list[Entry]:
        """Return what may be sent now, in the order of the log.

        An event behind one of its lane that is not due yet is not in it.
        """
        ...

    def settle(self, destination: str, settled: Settled, health: Health, at: datetime) -> None:
        """Write what one request changed: entries, counts and health, in one transaction.

        With an event that was delivered, dropped or refused goes what was sealed for it.
        """
        ...

    def seal(self, sealed: Sequence[Sealed]) -> None:
        """Keep what events brought for their delivery; what is kept of an event already stays."""
        ...

    def sealed(
        self, destination: str, event_ids: Sequence[bytes], at: datetime
    ) -> dict[bytes, Sealed]:
        """Return what is kept for some events, by their ids, as far as it has not expired."""
        ...

    def sealed_about(self, leaves: Sequence[bytes]) -> list[Sealed]:
        """Return what is kept of some customers, by destination and event."""
        ...

    def erase_sealed(self, leaves: Sequence[bytes]) -> int:
        """Drop what is sealed of some customers, so that no file holds it any more."""
        ...

    def expire_sealed(self, at: datetime) -> None:
        """Drop what has expired."""
        ...

    def needs_key(self, key: str) -> bool:
        """Say whether something is kept that a day's key has sealed."""
        ...

    def waiting(self, destination: str) -> Waiting:
        """Return what waits."""
        ...

    def counts(self, destination: str) -> list[Count]:
        """Return what became of events, hour by hour."""
        ...

    def dead(self, destination: str | None = None, limit: int = 1000) -> list[tuple[str, Entry]]:
        """Return dead letters with their destination, oldest first."""
        ...

    def dead_count(self, destination: str) -> dict[str, int]:
        """Return reason -> how many dead letters."""
        ...

    def replay(
        self, at: datetime, destination: str | None = None, reason: str | None = None
    ) -> int:
        """Let dead letters be tried again; returns how many."""
        ...

    def about(self, lanes: Sequence[bytes]) -> list[tuple[str, Entry]]:
        """Return what waits of some customers, with its destination, oldest first."""
        ...

    def told_of(self, lanes: Sequence[bytes]) -> dict[str, int]:
        """Return destination -> how many conversions of some customers it was given."""
        ...

    def erase(self, lanes: Sequence[bytes]) -> int:
        """Drop everything of some customers so that no file holds their keys any more."""
        ...

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        ...

    def scrub(self) -> None:
        """Remove erased values from the files beside the tables."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...
