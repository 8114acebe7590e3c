"""What events brought for their delivery alone: ciphertext in SQLite, found by keys."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.outbox.protocol import Sealed
from liftwerk.store.sqlite import Connection, Database

SCHEMA = (
    """create table if not exists sealed (
        destination text not null, event_id blob not null check (length(event_id) = 16),
        leaves text not null, key text not null, content blob not null, expires integer not null,
        primary key (destination, event_id)
    ) strict, without rowid""",
    "create index if not exists sealed_expires on sealed (expires)",
    "create index if not exists sealed_keys on sealed (key)",
)

_COLUMNS = "destination, event_id, leaves, key, content, expires"

# Few rows at any time, and none stays for long: each is looked at.
_THEIRS = (
    "where exists (select 1 from json_each(leaves) where value in (select value from json_each(?)))"
)


def add(connection: Connection, sealed: Sequence[Sealed]) -> None:
    """Add rows; a retry of an event changes nothing."""
    connection.executemany(
        f"insert into sealed ({_COLUMNS}) values (?, ?, ?, ?, ?, ?) on conflict do nothing",
        [
            (
                one.destination,
                one.event_id,
                json.dumps([leaf.hex() for leaf in one.leaves]),
                one.key,
                one.content,
                to_microseconds(one.expires),
            )
            for one in sealed
        ],
    )


def drop(connection: Connection, destination: str, event_ids: Collection[bytes]) -> None:
    """Drop what is kept for some events."""
    connection.executemany(
        "delete from sealed where destination = ? and event_id = ?",
        [(destination, event_id) for event_id in event_ids],
    )


def drop_settled(connection: Connection, destination: str, offsets: Sequence[int]) -> None:
    """Drop what is kept for the events of some entries, before these go."""
    some = "select exists (select 1 from sealed where destination = ?)"
    if not connection.execute(some, (destination,)).fetchall()[0][0]:
        return
    connection.executemany(
        "delete from sealed where destination = ?1 and event_id ="
        ' (select event_id from entries where destination = ?1 and "offset" = ?2)',
        [(destination, offset) for offset in offsets],
    )


def of_events(
    database: Database, destination: str, event_ids: Sequence[bytes], at: datetime
) -> dict[bytes, Sealed]:
    """Return what is kept for some events and has not expired."""
    sql = f"select {_COLUMNS} from sealed where destination = ? and event_id = ? and expires > ?"
    now = to_microseconds(at)
    found = {}
    for event_id in event_ids:
        for row in database.rows(sql, (destination, event_id, now)):
            found[event_id] = _sealed(row)
    return found


def about(database: Database, leaves: Sequence[bytes]) -> list[Sealed]:
    """Return what is kept of some customers."""
    sql = f"select {_COLUMNS} from sealed {_THEIRS} order by destination, event_id"
    return [_sealed(row) for row in database.rows(sql, (_listed(leaves),))]


def erase(database: Database, leaves: Sequence[bytes]) -> int:
    """Drop what is kept of some customers so that no file holds it any more."""
    return database.erase([f"delete from sealed {_THEIRS}"], [_listed(leaves)])


def expire(database: Database, at: datetime) -> None:
    """Drop what has expired."""
    now = to_microseconds(at)
    # Asked first: mostly nothing has expired, and a transaction would wait for whoever writes.
    if database.rows("select 1 from sealed where expires <= ? limit 1", (now,)):
        with database.transaction() as connection:
            connection.execute("delete from sealed where expires <= ?", (now,))


def _listed(leaves: Sequence[bytes]) -> str:
    return json.dumps([leaf.hex() for leaf in leaves])


def _sealed(row: Sequence[Any]) -> Sealed:
    destination, event_id, leaves, key, content, expires = row
    keys = tuple(bytes.fromhex(leaf) for leaf in json.loads(leaves))
    return Sealed(destination, event_id, keys, key, content, from_microseconds(expires))
