"""The experiments' log and the effect register in SQLite: rows are added, and never change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from liftwerk.errors import Conflict
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.ledger.experiments import EffectRow, ExperimentEntry
from liftwerk.store.sqlite import Connection

SCHEMA = (
    """create table if not exists experiment_log (
        seq integer primary key autoincrement, name text not null, number integer not null,
        action text not null check (
            action in ('register', 'start', 'ramp', 'stop', 'conclude', 'change')
        ),
        body text not null, version text not null, at integer not null, unique (name, number)
    ) strict""",
    """create table if not exists effects (
        seq integer primary key autoincrement, subject text not null, metric text not null,
        start integer not null, end integer not null check (end >= start),
        estimate text not null, unit text not null, method text not null, source text not null,
        at integer not null
    ) strict""",
    "create index if not exists effects_by_subject on effects (subject, metric, seq)",
)

LOG = "select name, action, body, version, at, number from experiment_log"
EFFECTS = "select subject, metric, start, end, estimate, unit, method, source, at from effects"


def entry_of(row: Sequence[Any]) -> ExperimentEntry:
    """Make an entry of a row of `LOG`."""
    name, action, body, version, at, number = row
    return ExperimentEntry(name, action, body, version, from_microseconds(at), number)


def effect_of(row: Sequence[Any]) -> EffectRow:
    """Make an effect of a row of `EFFECTS`."""
    subject, metric, start, end, estimate, unit, method, source, at = row
    window = (from_microseconds(start), from_microseconds(end))
    how = (estimate, unit, method, source)
    return EffectRow(subject, metric, *window, *how, from_microseconds(at))


def append(connection: Connection, entry: ExperimentEntry, at: datetime) -> None:
    """Add an entry, or raise `Conflict` where its number is not the next."""
    sql = "select count(*) from experiment_log where name = ?"
    ((written,),) = connection.execute(sql, (entry.name,)).fetchall()
    if entry.number != written + 1:
        hint = "look at it again, then repeat it"
        raise Conflict("another process wrote first", f"experiment {entry.name}", hint)
    row = (entry.name, entry.number, entry.action, entry.body, entry.version, to_microseconds(at))
    connection.execute(
        "insert into experiment_log (name, number, action, body, version, at)"
        " values (?, ?, ?, ?, ?, ?)",
        row,
    )


def put(connection: Connection, effect: EffectRow, at: datetime) -> bool:
    """Add an effect; False where the latest of its subject and metric says the same."""
    sql = f"{EFFECTS} where subject = ? and metric = ? order by seq desc limit 1"
    known = connection.execute(sql, (effect.subject, effect.metric)).fetchall()
    window = (to_microseconds(effect.start), to_microseconds(effect.end))
    how = (effect.estimate, effect.unit, effect.method, effect.source)
    row = (effect.subject, effect.metric, *window, *how)
    if known and tuple(known[0][:-1]) == row:
        return False
    connection.execute(
        "insert into effects (subject, metric, start, end, estimate, unit, method, source, at)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, to_microseconds(at)),
    )
    return True
