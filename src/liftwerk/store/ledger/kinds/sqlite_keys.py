"""Keys in SQLite: a row is added once; after that only its end comes nearer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.ledger.protocol import Key
from liftwerk.store.sqlite import Connection

# The hash is one SHA-256, not a slow password hash: what is hashed is 256 random bits, so nobody
# can guess through them, at any speed. And it is computed for every request that comes in.
SCHEMA = """create table if not exists keys (
    id text primary key, kind text not null, source text not null,
    hash blob not null unique check (length(hash) = 32), label text not null,
    created integer not null, expires integer, revoked integer
) strict"""

SELECT = "select id, source, hash, label, created, expires, revoked, kind from keys"


def from_row(row: Sequence[Any]) -> Key:
    """Make a key of a row of `SELECT`."""
    key_id, source, digest, label, created, expires, revoked, kind = row
    ends = (_instant(expires), _instant(revoked))
    return Key(key_id, source, digest, label, from_microseconds(created), *ends, kind)


def add(connection: Connection, key: Key) -> None:
    """Add a key."""
    facts = (key.id, key.kind, key.source, key.hash, key.label, to_microseconds(key.created))
    ends = (_microseconds(key.expires), _microseconds(key.revoked))
    connection.execute("insert into keys values (?, ?, ?, ?, ?, ?, ?, ?)", (*facts, *ends))


def expire(connection: Connection, key_id: str, at: datetime) -> bool:
    """Let a key end at an instant, or earlier if it already does; False when it is revoked."""
    _must_know(connection, key_id)
    sql = (
        "update keys set expires = min(coalesce(expires, ?1), ?1)"
        " where id = ?2 and revoked is null returning 1"
    )
    return bool(connection.execute(sql, (to_microseconds(at), key_id)).fetchall())


def revoke(connection: Connection, key_id: str, at: datetime) -> bool:
    """End a key at once; False when it was revoked before."""
    _must_know(connection, key_id)
    sql = "update keys set revoked = ? where id = ? and revoked is null returning 1"
    return bool(connection.execute(sql, (to_microseconds(at), key_id)).fetchall())


def _must_know(connection: Connection, key_id: str) -> None:
    known = [row[0] for row in connection.execute("select id from keys").fetchall()]
    if key_id not in known:
        # What was typed is not repeated: it may be a secret.
        raise UnknownName("no such key", "keys", did_you_mean(key_id, known))


def _instant(count: int | None) -> datetime | None:
    if count is None:
        return None
    return from_microseconds(count)


def _microseconds(at: datetime | None) -> int | None:
    if at is None:
        return None
    return to_microseconds(at)
