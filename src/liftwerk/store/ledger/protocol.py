"""What a ledger promises, and the small facts that it keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

import rfc8785
from msgspec import Struct

from liftwerk.store.ledger.experiments import EffectRow, ExperimentEntry

STAGES = ("draft", "shadow", "canary", "champion", "retired")
"""How far a release has come."""


class Snapshot(Struct, frozen=True):
    """Many tables at one moment: the version of each, and how far the logs are inside them.

    ``decisions_offset`` is the last live decision that was copied into the inbox.
    """

    inbox_offset: int
    tables: dict[str, int]
    at: datetime
    decisions_offset: int = 0

    @property
    def id(self) -> str:
        """A hash of what is in it; the time it was taken at doesn't count.

        Examples
        --------
        >>> from datetime import UTC
        >>> a = Snapshot(7, {"visit_v1": 0, "order_v1": 3}, datetime(2026, 1, 1, tzinfo=UTC))
        >>> b = Snapshot(7, {"order_v1": 3, "visit_v1": 0}, datetime(2026, 1, 2, tzinfo=UTC))
        >>> a.id == b.id
        True
        """
        content: dict[str, Any] = {
            "inbox_offset": self.inbox_offset,
            "decisions_offset": self.decisions_offset,
            "tables": self.tables,
        }
        return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


class AuditEntry(Struct, frozen=True):
    """Who changed what and when; ``hash`` covers the rest and the hash of the entry before."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous: str
    hash: str


class AuditCheck(Struct, frozen=True):
    """The outcome of recomputing the chain."""

    entries: int
    broken_at: int | None
    reason: str

    @property
    def ok(self) -> bool:
        """Whether every entry is as it was written and where it was written."""
        return self.broken_at is None


class Step(Struct, frozen=True):
    """What a runner's step made of its inputs; ``key`` is the hash of inputs and definition."""

    name: str
    key: str
    outputs: dict[str, Any]
    seconds: float
    at: datetime


class Release(Struct, frozen=True):
    """An immutable bundle, ``body`` its canonical JSON; the stage and the flags may change."""

    id: str
    policy: str
    body: bytes
    at: datetime
    stage: str = "draft"
    frozen: bool = False
    killed: bool = False


class Key(Struct, frozen=True):
    """A key somebody may send to us; the secret itself is kept nowhere.

    ``hash`` is the SHA-256 of the whole key as it is sent. A key ends when it is revoked, or at
    ``expires``, whichever comes first.
    """

    id: str
    source: str
    hash: bytes
    label: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    kind: str = "write"


class PublishedSchema(Struct, frozen=True):
    """The shape of a version of an event of which rows are kept, as the events room writes it."""

    name: str
    version: int
    shape: str
    at: datetime


class UsedDefinition(Struct, frozen=True):
    """A version of something declared that the project has put to use.

    ``body`` is its canonical JSON. ``first`` is when it was first used, ``last`` when it was last
    taken up, which is later where another version was in use between.
    """

    section: str
    name: str
    version: str
    body: str
    first: datetime
    last: datetime


class Erasure(Struct, frozen=True):
    """A customer's erasure, which does not say whose; ``receipt`` is empty until it is finished."""

    id: str
    requested: datetime
    finished: datetime | None = None
    receipt: dict[str, Any] = {}


class Erasing(Struct, frozen=True):
    """An erasure that is not finished: whom it is about.

    ``known`` is when all that the customer is known by had been looked up; None before.
    """

    id: str
    requested: datetime
    known: datetime | None
    leaves: tuple[bytes, ...]


class Transaction(Protocol):
    """A change under way; hand it to the methods that take part in it."""

    @property
    def at(self) -> datetime:
        """When the change is made."""
        ...


class Ledger(Protocol):
    """What people and machines did to definitions, data and releases.

    A change and its audit entry are one transaction: both are there, or neither. Times are handed
    in. The chain shows a changed, removed, moved or cut off row; it can't show a whole ledger that
    was put in the place of another, so keep ``verify_audit``'s count and hash elsewhere too.
    """

    def change(
        self, actor: str, action: str, subject: str, detail: Mapping[str, Any], at: datetime
    ) -> AbstractContextManager[Transaction]:
        """Begin a change; the audit entry is written as it commits.

        There is one at a time: what the same thread reads inside it stays so until it commits.

        Parameters
        ----------
        actor : str
            A name; the entry keeps only the random key that stands for it.
        action, subject : str
            A verb such as ``release.insert``, and the id of what it was done to.
        detail : mapping
            JSON-able, and nothing personal: it can never be erased.
        at : datetime
            The clock's time.
        """
        ...

    def audit(
        self, after: int = 0, limit: int = 1000, action: str | None = None
    ) -> list[AuditEntry]:
        """Return entries behind a sequence number, oldest first; of one action if it is named."""
        ...

    def verify_audit(self) -> AuditCheck:
        """Recompute the whole chain."""
        ...

    def name_of(self, key: str) -> str | None:
        """Return the name behind a key, None when it was erased."""
        ...

    def key_of(self, name: str) -> str | None:
        """Return the key that stands for a name, None when nothing was ever done under it."""
        ...

    def erase_person(self, name: str) -> bool:
        """Forget who a key was; says whether there was one. Entries stay, without a name."""
        ...

    def put_snapshot(self, tx: Transaction, snapshot: Snapshot) -> None:
        """Add a snapshot; one equal to the latest changes nothing."""
        ...

    def latest_snapshot(self) -> Snapshot | None:
        """Return the snapshot that readers see."""
        ...

    def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """Return a snapshot by its id."""
        ...

    def snapshots_since(self, snapshot_id: str) -> list[Snapshot]:
        """Return a snapshot and those behind it, oldest first; nothing when it isn't there."""
        ...

    def readable(self) -> list[tuple[int, datetime]]:
        """Return up to which offset readers saw the log since when: offset and instant, rising."""
        ...

    def put_step(self, step: Step, lease: str, token: int) -> None:
        """Keep a step's outputs; refused with `HomeInUse` when the lease went to another."""
        ...

    def get_step(self, name: str, key: str) -> Step | None:
        """Return what a step made of these inputs, None when it never ran to its end."""
        ...

    def steps(self) -> list[Step]:
        """Return every step that is kept, in the order of their times."""
        ...

    def drop_steps(self, tx: Transaction, names: Iterable[str] | None = None) -> int:
        """Forget steps, by name or all, so that they run again; returns how many."""
        ...

    def acquire_lease(self, name: str, holder: str, now: datetime, ttl_seconds: float) -> int:
        """Take a lease that is free, expired, or whose holder died on this machine.

        Returns
        -------
        int
            A fencing token, larger than every one before.

        Raises
        ------
        HomeInUse
            If somebody holds it.
        """
        ...

    def renew_lease(self, name: str, token: int, now: datetime, ttl_seconds: float) -> None:
        """Hold on for longer; raises `HomeInUse` when it went to another."""
        ...

    def release_lease(self, name: str, token: int) -> None:
        """Let go; nothing happens when it went to another meanwhile."""
        ...

    def check_token(self, tx: Transaction, name: str, token: int) -> None:
        """Raise `HomeInUse` unless the token is the latest: a stale holder must not write."""
        ...

    def insert_release(self, tx: Transaction, release: Release) -> bool:
        """Add a release; False when the same one is already there."""
        ...

    def release(self, release_id: str) -> Release | None:
        """Return a release by its id."""
        ...

    def releases(self, policy: str | None = None) -> list[Release]:
        """Return releases, oldest first."""
        ...

    def move_release(
        self,
        tx: Transaction,
        release_id: str,
        stage: str | None = None,
        frozen: bool | None = None,
        killed: bool | None = None,
    ) -> None:
        """Change a release's stage or flags; what is None stays."""
        ...

    def set_pointer(self, tx: Transaction, policy: str, release_id: str | None) -> None:
        """Name a policy's champion; None takes it away."""
        ...

    def pointer(self, policy: str) -> str | None:
        """Return the id of a policy's champion."""
        ...

    def add_key(self, tx: Transaction, key: Key) -> None:
        """Add a key."""
        ...

    def keys(self) -> list[Key]:
        """Return every key, also those that have ended, oldest first."""
        ...

    def expire_key(self, tx: Transaction, key_id: str, at: datetime) -> bool:
        """Let a key end at an instant, or earlier if it already does; False when it is revoked."""
        ...

    def revoke_key(self, tx: Transaction, key_id: str) -> bool:
        """End a key at once, for good; False when it was revoked before."""
        ...

    def publish_schema(self, tx: Transaction, schema: PublishedSchema) -> None:
        """Keep the shape of an event's version; a later one takes its place."""
        ...

    def published_schemas(self) -> list[PublishedSchema]:
        """Return the shape of every published version, by name and version."""
        ...

    def use_definition(self, tx: Transaction, definition: UsedDefinition) -> None:
        """Keep a version of a definition, first and last used at the change's time."""
        ...

    def used_definitions(self, section: str, name: str | None = None) -> list[UsedDefinition]:
        """Return the versions of a section's definitions, or of one; the one in use comes last."""
        ...

    def append_experiment(self, tx: Transaction, entry: ExperimentEntry) -> None:
        """Add an entry to an experiment's log, at the change's time.

        Raises
        ------
        Conflict
            If its number is not the next: another process wrote since the log was read.
        """
        ...

    def experiment_log(self, name: str | None = None) -> list[ExperimentEntry]:
        """Return the entries of one experiment, or of all, in the order they were written."""
        ...

    def put_effect(self, tx: Transaction, effect: EffectRow) -> bool:
        """Add an effect, at the change's time; False where the latest one says the same."""
        ...

    def effects(self, subject: str | None = None, metric: str | None = None) -> list[EffectRow]:
        """Return effects, all or some, in the order they were written."""
        ...

    def queue_erasure(self, tx: Transaction, erasure: str, leaves: Sequence[bytes]) -> None:
        """Add an erasure and bury these leaf keys: from now on no reader sees them."""
        ...

    def know_erasures(self, tx: Transaction, leaves: Mapping[str, Sequence[bytes]]) -> None:
        """Add all that the customers of some erasures are known by, and bury it.

        Parameters
        ----------
        leaves : mapping of str to sequence of bytes
            Erasure -> leaf keys.
        """
        ...

    def finish_erasures(self, tx: Transaction, receipts: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the receipts of erasures, and forget whom they were about."""
        ...

    def erasing(self) -> list[Erasing]:
        """Return the erasures that are not finished, oldest first."""
        ...

    def erasures(self, limit: int = 1000) -> list[Erasure]:
        """Return erasures, newest first."""
        ...

    def erasure(self, erasure: str) -> Erasure | None:
        """Return one erasure."""
        ...

    def bury(self, tx: Transaction, leaves: Sequence[bytes]) -> None:
        """Keep the leaf keys of an erased customer, so that admission can refuse them."""
        ...

    def buried(self) -> frozenset[bytes]:
        """Return every leaf key that was erased, or is being erased."""
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
