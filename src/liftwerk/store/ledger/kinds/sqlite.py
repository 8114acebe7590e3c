"""The ledger in one SQLite file."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785

from liftwerk.errors import StoreFault
from liftwerk.faults import fault
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.ledger.chain import GENESIS, entry_hash, verify
from liftwerk.store.ledger.experiments import EffectRow, ExperimentEntry
from liftwerk.store.ledger.kinds import sqlite_definitions as definitions
from liftwerk.store.ledger.kinds import sqlite_erasures as erasures
from liftwerk.store.ledger.kinds import sqlite_experiments as experiments
from liftwerk.store.ledger.kinds import sqlite_keys as keys
from liftwerk.store.ledger.kinds import sqlite_leases as leases
from liftwerk.store.ledger.kinds import sqlite_releases as releases
from liftwerk.store.ledger.kinds import sqlite_schemas as schemas
from liftwerk.store.ledger.protocol import (
    AuditCheck,
    AuditEntry,
    Erasing,
    Erasure,
    Key,
    PublishedSchema,
    Release,
    Snapshot,
    Step,
    Transaction,
    UsedDefinition,
)
from liftwerk.store.sqlite import Connect, Connection, Database, connect_sqlite

SCHEMA = (
    """create table if not exists audit (
        seq integer primary key, at integer not null, actor text not null, action text not null,
        subject text not null, detail text not null, previous text not null, hash text not null
    ) strict""",
    """create table if not exists audit_head (
        one integer primary key check (one = 1), entries integer not null, hash text not null
    ) strict""",
    "create table if not exists people (key text primary key, name text not null unique) strict",
    """create table if not exists snapshots (
        seq integer primary key autoincrement, id text not null, inbox_offset integer not null,
        decisions_offset integer not null, tables text not null, at integer not null
    ) strict""",
    "create index if not exists snapshots_by_id on snapshots (id, seq)",
    """create table if not exists steps (
        name text not null, key text not null, outputs text not null, seconds real not null,
        at integer not null, token integer not null, primary key (name, key)
    ) strict""",
    leases.SCHEMA,
    *releases.SCHEMA,
    keys.SCHEMA,
    schemas.SCHEMA,
    definitions.SCHEMA,
    *experiments.SCHEMA,
    *erasures.SCHEMA,
)

_AUDIT = "select seq, at, actor, action, subject, detail, previous, hash from audit"
_SNAPSHOT = "select inbox_offset, tables, at, decisions_offset from snapshots"
_STEP = "select name, key, outputs, seconds, at from steps"


@dataclass(frozen=True)
class _Change:
    connection: Connection
    at: datetime


class SqliteLedger:
    """Keeps the promises of `liftwerk.store.ledger.Ledger` in one file."""

    def __init__(self, path: Path, connect: Connect = connect_sqlite) -> None:
        self.database = Database(path, SCHEMA, connect)

    # ------------------------------------------------------------- changes and their audit entries

    @contextmanager
    def change(
        self, actor: str, action: str, subject: str, detail: Mapping[str, Any], at: datetime
    ) -> Iterator[Transaction]:
        """Begin a change; the audit entry is written as it commits."""
        with self.database.transaction() as connection:
            yield _Change(connection, at)
            key = _person(connection, actor)
            _append_entry(connection, key, action, subject, detail, at)

    def audit(
        self, after: int = 0, limit: int = 1000, action: str | None = None
    ) -> list[AuditEntry]:
        """Return entries behind a sequence number, oldest first; of one action if it is named."""
        sql = f"{_AUDIT} where seq > ? and (? is null or action = ?) order by seq limit ?"
        return [_entry(row) for row in self.database.rows(sql, (after, action, action, limit))]

    def verify_audit(self) -> AuditCheck:
        """Recompute the whole chain."""
        # One statement, so that an entry written meanwhile can't look like a broken end.
        sql = f"{_AUDIT} union all select null, entries, hash, '', '', '', '', '' from audit_head"
        rows = self.database.rows(sql)
        heads = [row for row in rows if row[0] is None]
        count, head = 0, GENESIS
        if heads:
            count, head = heads[0][1], heads[0][2]
        entries = sorted((row for row in rows if row[0] is not None), key=lambda row: int(row[0]))
        return verify((_entry(row) for row in entries), count, head)

    # --------------------------------------------------------------------------------------- people

    def name_of(self, key: str) -> str | None:
        """Return the name behind a key, None when it was erased."""
        return _only(self.database.rows("select name from people where key = ?", (key,)))

    def key_of(self, name: str) -> str | None:
        """Return the key that stands for a name, None when nothing was ever done under it."""
        return _only(self.database.rows("select key from people where name = ?", (name,)))

    def erase_person(self, name: str) -> bool:
        """Forget who a key was; says whether there was one."""
        with self.database.transaction() as connection:
            sql = "delete from people where name = ? returning key"
            gone = connection.execute(sql, (name,)).fetchall()
        self.scrub()
        return bool(gone)

    # ------------------------------------------------------------------------------------ snapshots

    def put_snapshot(self, tx: Transaction, snapshot: Snapshot) -> None:
        """Add a snapshot; one equal to the latest changes nothing."""
        connection = _connection(tx)
        sql = "select id from snapshots order by seq desc limit 1"
        if _only(connection.execute(sql).fetchall()) == snapshot.id:
            return
        tables = rfc8785.dumps(snapshot.tables).decode()
        at = to_microseconds(snapshot.at)
        offsets = (snapshot.inbox_offset, snapshot.decisions_offset)
        sql = (
            "insert into snapshots (id, inbox_offset, decisions_offset, tables, at)"
            " values (?, ?, ?, ?, ?)"
        )
        connection.execute(sql, (snapshot.id, *offsets, tables, at))

    def latest_snapshot(self) -> Snapshot | None:
        """Return the snapshot that readers see."""
        rows = self.database.rows(f"{_SNAPSHOT} order by seq desc limit 1")
        return next(map(_snapshot, rows), None)

    def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """Return a snapshot by its id."""
        sql = f"{_SNAPSHOT} where id = ? order by seq desc limit 1"
        return next(map(_snapshot, self.database.rows(sql, (snapshot_id,))), None)

    def snapshots_since(self, snapshot_id: str) -> list[Snapshot]:
        """Return a snapshot and those behind it, oldest first; nothing when it isn't there."""
        first = "select max(seq) from snapshots where id = ?"
        sql = f"{_SNAPSHOT} where seq >= ({first}) order by seq"
        return list(map(_snapshot, self.database.rows(sql, (snapshot_id,))))

    def readable(self) -> list[tuple[int, datetime]]:
        """Return up to which offset readers saw the log since when: offset and instant, rising."""
        sql = "select inbox_offset, min(at) from snapshots group by inbox_offset order by 1"
        return [(offset, from_microseconds(at)) for offset, at in self.database.rows(sql)]

    # -------------------------------------------------------------------------------------- steps

    def put_step(self, step: Step, lease: str, token: int) -> None:
        """Keep a step's outputs; refused when the lease went to another."""
        # As they are given, not in canonical order: the order of names may mean something.
        outputs = json.dumps(step.outputs, ensure_ascii=False, allow_nan=False)
        row = (step.name, step.key, outputs, step.seconds, to_microseconds(step.at), token)
        with fault("step_commit"), self.database.transaction() as connection:
            leases.check_token(connection, lease, token)
            sql = "insert or replace into steps values (?, ?, ?, ?, ?, ?)"
            connection.execute(sql, row)

    def get_step(self, name: str, key: str) -> Step | None:
        """Return what a step made of these inputs, None when it never ran to its end."""
        rows = self.database.rows(f"{_STEP} where name = ? and key = ?", (name, key))
        return next(map(_step, rows), None)

    def steps(self) -> list[Step]:
        """Return every step that is kept, in the order of their times."""
        return [_step(row) for row in self.database.rows(f"{_STEP} order by at, rowid")]

    def drop_steps(self, tx: Transaction, names: Iterable[str] | None = None) -> int:
        """Forget steps, by name or all, so that they run again; returns how many."""
        connection = _connection(tx)
        if names is None:
            return len(connection.execute("delete from steps returning 1").fetchall())
        sql = "delete from steps where name = ? returning 1"
        return sum(len(connection.execute(sql, (name,)).fetchall()) for name in names)

    # -------------------------------------------------------------------------------------- leases

    def acquire_lease(self, name: str, holder: str, now: datetime, ttl_seconds: float) -> int:
        """Take a lease that is free, expired, or whose holder died on this machine."""
        with self.database.transaction() as connection:
            return leases.acquire(connection, name, holder, now, ttl_seconds)

    def renew_lease(self, name: str, token: int, now: datetime, ttl_seconds: float) -> None:
        """Hold on for longer."""
        with self.database.transaction() as connection:
            leases.renew(connection, name, token, now, ttl_seconds)

    def release_lease(self, name: str, token: int) -> None:
        """Let go; nothing happens when it went to another meanwhile."""
        with self.database.transaction() as connection:
            leases.release(connection, name, token)

    def check_token(self, tx: Transaction, name: str, token: int) -> None:
        """Raise unless the token is the latest."""
        leases.check_token(_connection(tx), name, token)

    # ------------------------------------------------------------------------------------ releases

    def insert_release(self, tx: Transaction, release: Release) -> bool:
        """Add a release; False when the same one is already there."""
        return releases.insert(_connection(tx), release)

    def release(self, release_id: str) -> Release | None:
        """Return a release by its id."""
        rows = self.database.rows(f"{releases.SELECT} where id = ?", (release_id,))
        return next(map(releases.from_row, rows), None)

    def releases(self, policy: str | None = None) -> list[Release]:
        """Return releases, oldest first."""
        sql = f"{releases.SELECT} where ?1 is null or policy = ?1 order by seq"
        return [releases.from_row(row) for row in self.database.rows(sql, (policy,))]

    def move_release(
        self,
        tx: Transaction,
        release_id: str,
        stage: str | None = None,
        frozen: bool | None = None,
        killed: bool | None = None,
    ) -> None:
        """Change a release's stage or flags; what is None stays."""
        releases.move(_connection(tx), release_id, stage, frozen, killed)

    def set_pointer(self, tx: Transaction, policy: str, release_id: str | None) -> None:
        """Name a policy's champion; None takes it away."""
        releases.point(_connection(tx), policy, release_id, tx.at)

    def pointer(self, policy: str) -> str | None:
        """Return the id of a policy's champion."""
        return _only(self.database.rows("select release from pointers where policy = ?", (policy,)))

    # ---------------------------------------------------------------------------------------- keys

    def add_key(self, tx: Transaction, key: Key) -> None:
        """Add a key."""
        keys.add(_connection(tx), key)

    def keys(self) -> list[Key]:
        """Return every key, also those that have ended, oldest first."""
        return [keys.from_row(row) for row in self.database.rows(f"{keys.SELECT} order by rowid")]

    def expire_key(self, tx: Transaction, key_id: str, at: datetime) -> bool:
        """Let a key end at an instant, or earlier if it already does; False when it is revoked."""
        return keys.expire(_connection(tx), key_id, at)

    def revoke_key(self, tx: Transaction, key_id: str) -> bool:
        """End a key at once, for good; False when it was revoked before."""
        return keys.revoke(_connection(tx), key_id, tx.at)

    # --------------------------------------------------------------------------- published schemas

    def publish_schema(self, tx: Transaction, schema: PublishedSchema) -> None:
        """Keep the shape of an event's version; a later one takes its place."""
        schemas.publish(_connection(tx), schema)

    def published_schemas(self) -> list[PublishedSchema]:
        """Return the shape of every published version, by name and version."""
        sql = f"{schemas.SELECT} order by name, version"
        return [schemas.from_row(row) for row in self.database.rows(sql)]

    # ------------------------------------------------------------------------------- definitions

    def use_definition(self, tx: Transaction, definition: UsedDefinition) -> None:
        """Keep a version of a definition, first and last used at the change's time."""
        definitions.use(_connection(tx), definition, tx.at)

    def used_definitions(self, section: str, name: str | None = None) -> list[UsedDefinition]:
        """Return the versions of a section's definitions, or of one; the one in use comes last."""
        sql = f"{definitions.SELECT} where section = ?1 and (?2 is null or name = ?2)"
        rows = self.database.rows(f"{sql} order by name, last, first", (section, name))
        return [definitions.from_row(row) for row in rows]

    # ----------------------------------------------------------------------- experiments, effects

    def append_experiment(self, tx: Transaction, entry: ExperimentEntry) -> None:
        """Add an entry to an experiment's log; refused when its number is not the next."""
        experiments.append(_connection(tx), entry, tx.at)

    def experiment_log(self, name: str | None = None) -> list[ExperimentEntry]:
        """Return the entries of one experiment, or of all, in the order they were written."""
        sql = f"{experiments.LOG} where ?1 is null or name = ?1 order by seq"
        return [experiments.entry_of(row) for row in self.database.rows(sql, (name,))]

    def put_effect(self, tx: Transaction, effect: EffectRow) -> bool:
        """Add an effect; False where the latest one says the same."""
        return experiments.put(_connection(tx), effect, tx.at)

    def effects(self, subject: str | None = None, metric: str | None = None) -> list[EffectRow]:
        """Return effects, all or some, in the order they were written."""
        chosen = "(?1 is null or subject = ?1) and (?2 is null or metric = ?2)"
        rows = self.database.rows(
            f"{experiments.EFFECTS} where {chosen} order by seq", (subject, metric)
        )
        return [experiments.effect_of(row) for row in rows]

    # ------------------------------------------------------------------------------------ erasures

    def queue_erasure(self, tx: Transaction, erasure: str, leaves: Sequence[bytes]) -> None:
        """Add an erasure and bury these leaf keys."""
        erasures.queue(_connection(tx), erasure, leaves, tx.at)

    def know_erasures(self, tx: Transaction, leaves: Mapping[str, Sequence[bytes]]) -> None:
        """Add all that the customers of some erasures are known by, and bury it."""
        erasures.know(_connection(tx), leaves, tx.at)

    def finish_erasures(self, tx: Transaction, receipts: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the receipts of erasures, and forget whom they were about."""
        erasures.finish(_connection(tx), receipts, tx.at)

    def erasing(self) -> list[Erasing]:
        """Return the erasures that are not finished, oldest first."""
        return erasures.from_rows(self.database.rows(erasures.QUEUED))

    def erasures(self, limit: int = 1000) -> list[Erasure]:
        """Return erasures, newest first."""
        sql = f"{erasures.SELECT} order by seq desc limit ?"
        return [erasures.from_row(row) for row in self.database.rows(sql, (limit,))]

    def erasure(self, erasure: str) -> Erasure | None:
        """Return one erasure."""
        rows = self.database.rows(f"{erasures.SELECT} where id = ?", (erasure,))
        return next(map(erasures.from_row, rows), None)

    def bury(self, tx: Transaction, leaves: Sequence[bytes]) -> None:
        """Keep the leaf keys of an erased customer."""
        erasures.bury(_connection(tx), leaves, tx.at)

    def buried(self) -> frozenset[bytes]:
        """Return every leaf key that was erased."""
        return frozenset(leaf for (leaf,) in self.database.rows("select leaf from tombstones"))

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        found = self.database.damage()
        if found:
            return found
        check = self.verify_audit()
        if not check.ok:
            found.append(f"{self.database.path}: audit entry {check.broken_at}: {check.reason}")
        return found

    def scrub(self) -> None:
        """Remove erased values from the files beside the tables."""
        self.database.scrub()

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


def _connection(tx: Transaction) -> Connection:
    if not isinstance(tx, _Change):
        raise TypeError("the transaction belongs to another kind of ledger")
    return tx.connection


def _only(rows: Sequence[tuple[str]]) -> str | None:
    return next((value for (value,) in rows), None)


def _person(connection: Connection, name: str) -> str:
    key = _only(connection.execute("select key from people where name = ?", (name,)).fetchall())
    if key is None:
        key = secrets.token_hex(8)
        connection.execute("insert into people values (?, ?)", (key, name))
    return key


def _append_entry(
    connection: Connection,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    at: datetime,
) -> None:
    heads = connection.execute("select entries, hash from audit_head").fetchall()
    count, previous = 0, GENESIS
    if heads:
        count, previous = heads[0]
    bare = AuditEntry(count + 1, at, actor, action, subject, dict(detail), previous, "")
    own = entry_hash(bare)
    text = rfc8785.dumps(bare.detail).decode()
    row = (bare.seq, to_microseconds(at), actor, action, subject, text, previous, own)
    connection.execute("insert into audit values (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("insert or replace into audit_head values (1, ?, ?)", (bare.seq, own))


def _entry(row: Sequence[Any]) -> AuditEntry:
    seq, at, actor, action, subject, detail, previous, own = row
    try:
        content = json.loads(detail)
    except json.JSONDecodeError:
        content = {"damaged": detail}  # not what was hashed: verifying will find it
    return AuditEntry(seq, from_microseconds(at), actor, action, subject, content, previous, own)


def _snapshot(row: Sequence[Any]) -> Snapshot:
    inbox_offset, tables, at, decisions_offset = row
    versions = _json(tables, "snapshot")
    return Snapshot(inbox_offset, versions, from_microseconds(at), decisions_offset)


def _step(row: Sequence[Any]) -> Step:
    name, key, outputs, seconds, at = row
    return Step(name, key, _json(outputs, f"step {name}"), seconds, from_microseconds(at))


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise StoreFault("damaged JSON in the ledger", where, "restore from a backup") from None
