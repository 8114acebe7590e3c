"""Erasures in SQLite: whose they are is known until they are done, and not a moment longer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import rfc8785

from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.ledger.protocol import Erasing, Erasure
from liftwerk.store.sqlite import Connection

SCHEMA = (
    """create table if not exists erasures (
        seq integer primary key, id text not null unique, requested integer not null,
        known integer, finished integer, receipt text not null default '{}'
    ) strict""",
    """create table if not exists erasure_keys (
        erasure text not null, leaf blob not null check (length(leaf) = 16),
        primary key (erasure, leaf)
    ) strict, without rowid""",
    """create table if not exists tombstones (
        leaf blob primary key check (length(leaf) = 16), at integer not null
    ) strict, without rowid""",
)

SELECT = "select id, requested, finished, receipt from erasures"
QUEUED = (
    "select id, requested, known, leaf from erasures join erasure_keys on erasure = id"
    " where finished is null order by seq, leaf"
)


def from_row(row: Sequence[Any]) -> Erasure:
    """Make an erasure of a row of `SELECT`."""
    erasure, requested, finished, receipt = row
    return Erasure(erasure, from_microseconds(requested), _instant(finished), json.loads(receipt))


def from_rows(rows: Iterable[Sequence[Any]]) -> list[Erasing]:
    """Make the queue of the rows of `QUEUED`."""
    facts: dict[str, tuple[datetime, datetime | None]] = {}
    keys: dict[str, list[bytes]] = {}
    for erasure, requested, known, leaf in rows:
        facts[erasure] = (from_microseconds(requested), _instant(known))
        keys.setdefault(erasure, []).append(leaf)
    return [Erasing(erasure, *times, tuple(keys[erasure])) for erasure, times in facts.items()]


def queue(connection: Connection, erasure: str, leaves: Sequence[bytes], at: datetime) -> None:
    """Add an erasure, and bury whom it is about."""
    sql = "insert into erasures (id, requested) values (?, ?)"
    connection.execute(sql, (erasure, to_microseconds(at)))
    _bury(connection, {erasure: leaves}, at)


def know(connection: Connection, leaves: Mapping[str, Sequence[bytes]], at: datetime) -> None:
    """Add all that the customers of some erasures are known by, and bury it."""
    _bury(connection, leaves, at)
    sql = "update erasures set known = ? where id = ? and known is null"
    connection.executemany(sql, [(to_microseconds(at), erasure) for erasure in leaves])


def finish(connection: Connection, receipts: Mapping[str, Mapping[str, Any]], at: datetime) -> None:
    """Keep what was done, and forget for whom."""
    sql = "update erasures set finished = ?, receipt = ? where id = ?"
    rows = [
        (to_microseconds(at), rfc8785.dumps(dict(receipt)).decode(), erasure)
        for erasure, receipt in receipts.items()
    ]
    connection.executemany(sql, rows)
    sql = "delete from erasure_keys where erasure = ?"
    connection.executemany(sql, [(erasure,) for erasure in receipts])


def bury(connection: Connection, leaves: Sequence[bytes], at: datetime) -> None:
    """Keep the leaf keys of an erased customer."""
    sql = "insert into tombstones values (?, ?) on conflict do nothing"
    connection.executemany(sql, [(leaf, to_microseconds(at)) for leaf in leaves])


def _bury(connection: Connection, leaves: Mapping[str, Sequence[bytes]], at: datetime) -> None:
    rows = [(erasure, leaf) for erasure, listed in leaves.items() for leaf in listed]
    sql = "insert into erasure_keys values (?, ?) on conflict do nothing"
    connection.executemany(sql, rows)
    bury(connection, [leaf for _, leaf in rows], at)


def _instant(count: int | None) -> datetime | None:
    if count is None:
        return None
    return from_microseconds(count)
