"""Versions of definitions in SQLite: a row each, with when it was first used and last taken up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.ledger.protocol import UsedDefinition
from liftwerk.store.sqlite import Connection

SCHEMA = """create table if not exists used_definitions (
    section text not null, name text not null, version text not null, body text not null,
    first integer not null, last integer not null, primary key (section, name, version, body)
) strict, without rowid"""

SELECT = "select section, name, version, body, first, last from used_definitions"


def from_row(row: Sequence[Any]) -> UsedDefinition:
    """Make a definition of a row of `SELECT`."""
    section, name, version, body, first, last = row
    at, again = from_microseconds(first), from_microseconds(last)
    return UsedDefinition(section, name, version, body, at, again)


def use(connection: Connection, one: UsedDefinition, at: datetime) -> None:
    """Keep a definition, or that it was taken up again."""
    moment = to_microseconds(at)
    row = (one.section, one.name, one.version, one.body, moment, moment)
    connection.execute(
        "insert into used_definitions values (?, ?, ?, ?, ?, ?)"
        " on conflict (section, name, version, body) do update set last = excluded.last",
        row,
    )
