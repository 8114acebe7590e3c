"""Releases and pointers in SQLite: a body never changes, a stage and a pointer move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.ledger.protocol import Release
from liftwerk.store.sqlite import Connection

SCHEMA = (
    """create table if not exists releases (
        seq integer primary key autoincrement, id text not null unique, policy text not null,
        body blob not null, at integer not null,
        stage text not null check (stage in ('draft', 'shadow', 'canary', 'champion', 'retired')),
        frozen integer not null check (frozen in (0, 1)),
        killed integer not null check (killed in (0, 1))
    ) strict""",
    """create table if not exists pointers (
        policy text primary key, release text not null references releases (id), at integer not null
    ) strict""",
)

SELECT = "select id, policy, body, at, stage, frozen, killed from releases"


def from_row(row: Sequence[Any]) -> Release:
    """Make a release of a row of `SELECT`."""
    release_id, policy, body, at, stage, frozen, killed = row
    when = from_microseconds(at)
    return Release(release_id, policy, body, when, stage, bool(frozen), bool(killed))


def insert(connection: Connection, release: Release) -> bool:
    """Add a release; False when it is there, `ValueError` when it is there with another body."""
    known = connection.execute(f"{SELECT} where id = ?", (release.id,)).fetchall()
    if known:
        if from_row(known[0]).body != release.body:
            raise ValueError(f"release {release.id} is immutable and has another body")
        return False
    sql = (
        "insert into releases (id, policy, body, at, stage, frozen, killed)"
        " values (?, ?, ?, ?, ?, ?, ?)"
    )
    flags = (release.stage, int(release.frozen), int(release.killed))
    at = to_microseconds(release.at)
    connection.execute(sql, (release.id, release.policy, release.body, at, *flags))
    return True


def move(
    connection: Connection,
    release_id: str,
    stage: str | None,
    frozen: bool | None,
    killed: bool | None,
) -> None:
    """Change the stage and the flags that aren't None."""
    _must_know(connection, release_id)
    sql = (
        "update releases set stage = coalesce(?, stage), frozen = coalesce(?, frozen),"
        " killed = coalesce(?, killed) where id = ?"
    )
    connection.execute(sql, (stage, frozen, killed, release_id))


def point(connection: Connection, policy: str, release_id: str | None, at: datetime) -> None:
    """Name a policy's champion, or none."""
    if release_id is None:
        connection.execute("delete from pointers where policy = ?", (policy,))
        return
    _must_know(connection, release_id)
    sql = "insert or replace into pointers values (?, ?, ?)"
    connection.execute(sql, (policy, release_id, to_microseconds(at)))


def _must_know(connection: Connection, release_id: str) -> None:
    known = [row[0] for row in connection.execute("select id from releases").fetchall()]
    if release_id not in known:
        hint = did_you_mean(release_id, known)
        raise UnknownName("no such release", release_id, hint)
