"""The outbox in one SQLite file."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from liftwerk.faults import fault
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.outbox.kinds import sqlite_sealed
from liftwerk.store.outbox.protocol import (
    Count,
    Entry,
    Health,
    Outcome,
    Sealed,
    Settled,
    Standing,
    Waiting,
)
from liftwerk.store.sqlite import Connect, Connection, Database, connect_sqlite

SCHEMA = (
    """create table if not exists destinations (
        name text primary key, position integer not null, failures integer not null default 0,
        opened integer, not_before integer, succeeded integer, failed integer,
        reason text not null default ''
    ) strict""",
    """create table if not exists entries (
        destination text not null, "offset" integer not null,
        event_id blob not null check (length(event_id) = 16), event text not null,
        lane blob not null, due integer not null, tries integer not null, strikes integer not null,
        tried integer, reason text not null, conversion blob,
        dead integer not null default 0 check (dead in (0, 1)),
        primary key (destination, "offset")
    ) strict""",
    'create index if not exists lanes on entries (destination, dead, lane, "offset")',
    """create index if not exists open_conversions on entries (destination, conversion)
    where conversion is not null""",
    """create table if not exists conversions (
        destination text not null, key blob not null, lane blob not null,
        primary key (destination, key)
    ) strict, without rowid""",
    """create table if not exists counts (
        destination text not null, hour integer not null, outcome text not null,
        reason text not null, many integer not null,
        primary key (destination, hour, outcome, reason)
    ) strict, without rowid""",
    *sqlite_sealed.SCHEMA,
)

HOUR = 3_600_000_000
"""Microseconds of the hour that counts are kept by."""

_COLUMNS = '"offset", event_id, event, lane, due, tries, strikes, tried, reason, conversion'
_DUE = (
    f"select {_COLUMNS} from entries as e where destination = ?1 and dead = 0 and due <= ?2"
    " and not exists (select 1 from entries as f where f.destination = ?1 and f.dead = 0"
    ' and f.lane = e.lane and f."offset" < e."offset" and f.due > ?2)'
    ' order by "offset" limit ?3'
)


# All customers at once: there is no index that begins with the lane.
_THEIRS = "where hex(lane) in (select value from json_each(?))"


class SqliteOutbox:
    """Keeps the promises of `liftwerk.store.outbox.Outbox` in one file."""

    def __init__(self, path: Path, connect: Connect = connect_sqlite) -> None:
        self.database = Database(path, SCHEMA, connect)

    def standing(self, destination: str) -> Standing | None:
        """Return where a destination stands; None before `begin`."""
        sql = (
            "select position, failures, opened, not_before, succeeded, failed, reason"
            " from destinations where name = ?"
        )
        for position, failures, *instants, reason in self.database.rows(sql, (destination,)):
            opened, not_before, succeeded, failed = map(_instant, instants)
            health = Health(failures, opened, not_before, succeeded, failed, reason)
            return Standing(position, health)
        return None

    def begin(self, destination: str, position: int) -> Standing:
        """Start a destination at an offset; one that was started before stays where it is."""
        with self.database.transaction() as connection:
            sql = "insert into destinations (name, position) values (?, ?) on conflict do nothing"
            connection.execute(sql, (destination, position))
        return self.standing(destination) or Standing(position)

    def take(
        self,
        destination: str,
        position: int,
        entries: Sequence[Entry],
        dropped: Mapping[str, int],
        at: datetime,
        unsent: Collection[bytes] = (),
    ) -> None:
        """Move the position on, keep an entry for each event to send, and count the rest."""
        with fault("forward_commit"), self.database.transaction() as connection:
            sql = "update destinations set position = ? where name = ? and position <= ?"
            connection.execute(sql, (position, destination, position))
            if connection.execute("select changes()").fetchall()[0][0] == 0:
                raise ValueError(f"{destination} cannot go to {position}")
            connection.executemany(
                f"insert into entries (destination, {_COLUMNS})"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(destination, *_row(entry)) for entry in entries],
            )
            connection.executemany(
                "insert into conversions values (?, ?, ?) on conflict do nothing",
                [
                    (destination, entry.conversion, entry.lane)
                    for entry in entries
                    if entry.conversion is not None
                ],
            )
            for reason, many in dropped.items():
                _count(connection, destination, at, "dropped", reason, many)
            sqlite_sealed.drop(connection, destination, unsent)

    def told(self, destination: str, conversions: Collection[bytes]) -> set[bytes]:
        """Return which conversions were taken before, and have no entry any more."""
        sql = (
            "select key from conversions where destination = ?1 and key = ?2 and not exists"
            " (select 1 from entries where destination = ?1 and conversion = ?2)"
        )
        return {
            found for key in conversions for (found,) in self.database.rows(sql, (destination, key))
        }

    def due(self, destination: str, at: datetime, limit: int) -> list[Entry]:
        """Return what may be sent now, in the order of the log."""
        rows = self.database.rows(_DUE, (destination, to_microseconds(at), limit))
        return [_entry(row) for row in rows]

    def settle(self, destination: str, settled: Settled, health: Health, at: datetime) -> None:
        """Write what one request changed: entries, counts and health, in one transaction."""
        with fault("forward_commit"), self.database.transaction() as connection:
            gone = [*settled.delivered, *settled.dropped]
            sqlite_sealed.drop_settled(connection, destination, [*gone, *settled.dead])
            connection.executemany(
                'delete from entries where destination = ? and "offset" = ?',
                [(destination, offset) for offset in gone],
            )
            connection.executemany(
                "update entries set due = ?, tries = ?, strikes = ?, tried = ?, reason = ?"
                ' where destination = ? and "offset" = ?',
                [_again(destination, entry) for entry in settled.again],
            )
            connection.executemany(
                "update entries set dead = 1, reason = ?, tries = tries + 1, tried = ?"
                ' where destination = ? and "offset" = ?',
                [
                    (reason, to_microseconds(at), destination, offset)
                    for offset, reason in settled.dead.items()
                ],
            )
            if settled.delivered:
                _count(connection, destination, at, "delivered", "", len(settled.delivered))
            for reason in settled.dropped.values():
                _count(connection, destination, at, "dropped", reason, 1)
            for reason in settled.dead.values():
                _count(connection, destination, at, "dead", reason, 1)
            connection.execute(
                "update destinations set failures = ?, opened = ?, not_before = ?, succeeded = ?,"
                " failed = ?, reason = ? where name = ?",
                (*_health(health), destination),
            )

    def seal(self, sealed: Sequence[Sealed]) -> None:
        """Keep what events brought for their delivery; what is kept of an event already stays."""
        with self.database.transaction() as connection:
            sqlite_sealed.add(connection, sealed)

    def sealed(
        self, destination: str, event_ids: Sequence[bytes], at: datetime
    ) -> dict[bytes, Sealed]:
        """Return what is kept for some events, by their ids, as far as it has not expired."""
        return sqlite_sealed.of_events(self.database, destination, event_ids, at)

    def sealed_about(self, leaves: Sequence[bytes]) -> list[Sealed]:
        """Return what is kept of some customers, by destination and event."""
        return sqlite_sealed.about(self.database, leaves)

    def erase_sealed(self, leaves: Sequence[bytes]) -> int:
        """Drop what is sealed of some customers, so that no file holds it any more."""
        return sqlite_sealed.erase(self.database, leaves)

    def expire_sealed(self, at: datetime) -> None:
        """Drop what has expired."""
        sqlite_sealed.expire(self.database, at)

    def needs_key(self, key: str) -> bool:
        """Say whether something is kept that a day's key has sealed."""
        return bool(self.database.rows("select 1 from sealed where key = ? limit 1", (key,)))

    def waiting(self, destination: str) -> Waiting:
        """Return what waits."""
        sql = (
            'select count(*), min("offset"), count(*) filter (where tries > 0), min(due)'
            " from entries where destination = ? and dead = 0"
        )
        many, oldest, failed, due = self.database.rows(sql, (destination,))[0]
        return Waiting(many, oldest, failed, _instant(due))

    def counts(self, destination: str) -> list[Count]:
        """Return what became of events, hour by hour."""
        sql = (
            "select hour, outcome, reason, many from counts where destination = ?"
            " order by hour, outcome, reason"
        )
        rows = self.database.rows(sql, (destination,))
        return [Count(from_microseconds(hour), *rest) for hour, *rest in rows]

    def dead(self, destination: str | None = None, limit: int = 1000) -> list[tuple[str, Entry]]:
        """Return dead letters with their destination, oldest first."""
        sql = (
            f"select destination, {_COLUMNS} from entries where dead = 1"
            ' and (?1 is null or destination = ?1) order by "offset", destination limit ?2'
        )
        rows = self.database.rows(sql, (destination, limit))
        return [(name, _entry(row)) for name, *row in rows]

    def dead_count(self, destination: str) -> dict[str, int]:
        """Return reason -> how many dead letters."""
        sql = (
            "select reason, count(*) from entries where destination = ? and dead = 1"
            " group by reason order by reason"
        )
        return dict(self.database.rows(sql, (destination,)))

    def replay(
        self, at: datetime, destination: str | None = None, reason: str | None = None
    ) -> int:
        """Let dead letters be tried again; returns how many."""
        with self.database.transaction() as connection:
            connection.execute(
                "update entries set dead = 0, due = ?1, tries = 0, strikes = 0 where dead = 1"
                " and (?2 is null or destination = ?2) and (?3 is null or reason = ?3)",
                (to_microseconds(at), destination, reason),
            )
            many: int = connection.execute("select changes()").fetchall()[0][0]
        return many

    def about(self, lanes: Sequence[bytes]) -> list[tuple[str, Entry]]:
        """Return what waits of some customers, with its destination, oldest first."""
        sql = (
            f'select destination, {_COLUMNS} from entries {_THEIRS} order by "offset", destination'
        )
        return [(name, _entry(row)) for name, *row in self.database.rows(sql, (_listed(lanes),))]

    def told_of(self, lanes: Sequence[bytes]) -> dict[str, int]:
        """Return destination -> how many conversions of some customers it was given."""
        sql = (
            f"select destination, count(*) from conversions {_THEIRS}"
            " group by destination order by destination"
        )
        return dict(self.database.rows(sql, (_listed(lanes),)))

    def erase(self, lanes: Sequence[bytes]) -> int:
        """Drop everything of some customers so that no file holds their keys any more."""
        deletions = [f"delete from {one} {_THEIRS}" for one in ("entries", "conversions")]
        return self.database.erase(deletions, [_listed(lanes)])

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        return self.database.damage()

    def scrub(self) -> None:
        """Remove erased values from the files beside the tables."""
        self.database.scrub()

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


def _count(
    connection: Connection,
    destination: str,
    at: datetime,
    outcome: Outcome,
    reason: str,
    many: int,
) -> None:
    hour = to_microseconds(at) // HOUR * HOUR
    connection.execute(
        "insert into counts values (?, ?, ?, ?, ?)"
        " on conflict do update set many = many + excluded.many",
        (destination, hour, outcome, reason, many),
    )


def _listed(lanes: Sequence[bytes]) -> str:
    return json.dumps([lane.hex().upper() for lane in lanes])


def _instant(count: int | None) -> datetime | None:
    if count is None:
        return None
    return from_microseconds(count)


def _count_of(at: datetime | None) -> int | None:
    if at is None:
        return None
    return to_microseconds(at)


def _row(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.offset,
        entry.event_id,
        entry.event,
        entry.lane,
        to_microseconds(entry.due),
        entry.tries,
        entry.strikes,
        _count_of(entry.tried),
        entry.reason,
        entry.conversion,
    )


def _entry(row: Sequence[Any]) -> Entry:
    offset, event_id, event, lane, due, tries, strikes, tried, reason, conversion = row
    return Entry(
        offset,
        event_id,
        event,
        lane,
        from_microseconds(due),
        tries,
        strikes,
        _instant(tried),
        reason,
        conversion,
    )


def _again(destination: str, entry: Entry) -> tuple[Any, ...]:
    due, tried = to_microseconds(entry.due), _count_of(entry.tried)
    return (due, entry.tries, entry.strikes, tried, entry.reason, destination, entry.offset)


def _health(health: Health) -> tuple[Any, ...]:
    instants = (health.opened, health.not_before, health.succeeded, health.failed)
    return (health.failures, *map(_count_of, instants), health.reason)
