"""Decisions and their guardrails in one SQLite file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow

from liftwerk.faults import fault
from liftwerk.store.decisions.protocol import (
    BudgetReservation,
    DecisionRecord,
    Reservation,
    Verdict,
)
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.sqlite import Connect, Connection, Database, connect_sqlite

SCHEMA = (
    """create table if not exists decisions (
        "offset" integer primary key autoincrement, id blob not null unique check (length(id) = 16),
        unit blob not null, placement text not null, at integer not null,
        contact integer not null check (contact in (0, 1)), body blob not null
    ) strict""",
    "create index if not exists decisions_by_unit on decisions (unit, at)",
    """create table if not exists budgets (
        key text not null, period_start integer not null, spent integer not null,
        primary key (key, period_start)
    ) strict""",
)

# Without an upper end: what another process recorded by a clock a little ahead of ours counts too.
_CONTACTS = (
    "select count(*) from decisions where unit = ?1 and at > ?2 and contact = 1"
    " and (?3 is null or placement = ?3)"
)
_SPENT = "select spent from budgets where key = ? and period_start = ?"

READ_SCHEMA = pyarrow.schema(
    [
        ("offset", pyarrow.int64()),
        ("id", pyarrow.binary(16)),
        ("unit", pyarrow.binary()),
        ("placement", pyarrow.string()),
        ("at", pyarrow.timestamp("us", tz="UTC")),
        ("contact", pyarrow.bool_()),
        ("body", pyarrow.binary()),
    ]
)
"""The columns that `SqliteDecisions.read` returns."""


class SqliteDecisions:
    """Keeps the promises of `liftwerk.store.decisions.Decisions` in one file."""

    def __init__(self, path: Path, connect: Connect = connect_sqlite) -> None:
        self.database = Database(path, SCHEMA, connect)

    def decide(self, record: DecisionRecord, reservations: Sequence[Reservation]) -> Verdict:
        """Reserve everything and record, or neither."""
        return self.decide_many([(record, reservations)])[0]

    def decide_many(
        self, wanted: Sequence[tuple[DecisionRecord, Sequence[Reservation]]]
    ) -> list[Verdict]:
        """Do the same for many, one after the other, in one durable transaction."""
        with fault("decision_commit"), self.database.transaction() as connection:
            return [_decide(connection, record, needed) for record, needed in wanted]

    def read(self, after: int, limit: int) -> pyarrow.Table:
        """Return records behind an offset, in order."""
        sql = (
            'select "offset", id, unit, placement, at, contact, body from decisions'
            ' where "offset" > ? order by "offset" limit ?'
        )
        rows = [(*row[:5], bool(row[5]), row[6]) for row in self.database.rows(sql, (after, limit))]
        columns = list(zip(*rows, strict=True))
        if not rows:
            columns = [() for _ in READ_SCHEMA]
        arrays = [
            pyarrow.array(column, type=field.type)
            for column, field in zip(columns, READ_SCHEMA, strict=True)
        ]
        return pyarrow.Table.from_arrays(arrays, schema=READ_SCHEMA)

    def get(self, decision_id: bytes) -> DecisionRecord | None:
        """Return one record."""
        sql = "select id, unit, placement, at, body, contact from decisions where id = ?"
        for own, unit, placement, at, body, contact in self.database.rows(sql, (decision_id,)):
            when = from_microseconds(at)
            return DecisionRecord(own, unit, placement, when, body, bool(contact))
        return None

    def last_offset(self) -> int:
        """Return the last offset given out, 0 before the first."""
        rows = self.database.rows("select seq from sqlite_sequence where name = 'decisions'")
        return max((seq for (seq,) in rows), default=0)

    def spent(self, key: str, period_start: datetime) -> int:
        """Return how much of a period's budget is reserved, in minor units."""
        rows = self.database.rows(_SPENT, (key, to_microseconds(period_start)))
        return sum(spent for (spent,) in rows)

    def contacts(
        self, unit: bytes, at: datetime, window: timedelta, placement: str | None = None
    ) -> int:
        """Return how many contacts a unit had after ``at - window``."""
        since = to_microseconds(at - window)
        count: int = self.database.rows(_CONTACTS, (unit, since, placement))[0][0]
        return count

    def about(self, units: Iterable[bytes]) -> list[DecisionRecord]:
        """Return every record of some units, in order."""
        sql = (
            'select "offset", id, unit, placement, at, body, contact from decisions where unit = ?'
        )
        rows = sorted(row for unit in units for row in self.database.rows(sql, (unit,)))
        return [
            DecisionRecord(own, unit, placement, from_microseconds(at), body, bool(contact))
            for _, own, unit, placement, at, body, contact in rows
        ]

    def erase(self, units: Iterable[bytes]) -> int:
        """Drop every record of some units so that no file holds their bytes any more."""
        return self.database.erase(["delete from decisions where unit = ?"], units)

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        return self.database.damage()

    def scrub(self) -> None:
        """Remove erased values from the files beside the tables."""
        self.database.scrub()

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


def _decide(
    connection: Connection, record: DecisionRecord, reservations: Sequence[Reservation]
) -> Verdict:
    sql = "select unit, placement, at, contact, body from decisions where id = ?"
    known = connection.execute(sql, (record.id,)).fetchall()
    at = to_microseconds(record.at)
    content = (record.unit, record.placement, at, int(record.contact), record.body)
    if known:
        if tuple(known[0]) != content:
            raise ValueError(f"decision {record.id.hex()} is recorded with other content")
        return Verdict(repeated=True)
    # One after the other, so that two reservations of the same budget see each other.
    connection.execute("savepoint reservations")
    blocked = [one.guardrail for one in reservations if not _reserve(connection, record, one)]
    if blocked:
        connection.execute("rollback to reservations")
    connection.execute("release reservations")
    if blocked:
        return Verdict(tuple(dict.fromkeys(blocked)))
    sql = "insert into decisions (id, unit, placement, at, contact, body) values (?, ?, ?, ?, ?, ?)"
    connection.execute(sql, (record.id, *content))
    return Verdict()


def _reserve(connection: Connection, record: DecisionRecord, wanted: Reservation) -> bool:
    """Take what is wanted if there is room for it; says whether there was."""
    if isinstance(wanted, BudgetReservation):
        return _reserve_budget(connection, wanted)
    if not record.contact:
        return True
    since = to_microseconds(record.at - wanted.window)
    found = connection.execute(_CONTACTS, (record.unit, since, wanted.placement)).fetchall()
    count: int = found[0][0]
    return count < wanted.limit  # the record itself is the reservation


def _reserve_budget(connection: Connection, wanted: BudgetReservation) -> bool:
    if wanted.amount_minor < 0:
        raise ValueError(f"a reservation can't be negative: {wanted.amount_minor}")
    key = (wanted.key, to_microseconds(wanted.period_start))
    spent: int = sum(row[0] for row in connection.execute(_SPENT, key).fetchall())
    if spent + wanted.amount_minor > wanted.limit_minor:
        return False
    sql = "insert or replace into budgets values (?, ?, ?)"
    connection.execute(sql, (*key, spent + wanted.amount_minor))
    return True
