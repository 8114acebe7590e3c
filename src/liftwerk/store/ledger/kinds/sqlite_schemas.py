"""Published schemas in SQLite: a row a version, replaced as the version grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.ledger.protocol import PublishedSchema
from liftwerk.store.sqlite import Connection

SCHEMA = """create table if not exists published_schemas (
    name text not null, version integer not null, shape text not null, at integer not null,
    primary key (name, version)
) strict, without rowid"""

SELECT = "select name, version, shape, at from published_schemas"


def from_row(row: Sequence[Any]) -> PublishedSchema:
    """Make a published schema of a row of `SELECT`."""
    name, version, shape, at = row
    return PublishedSchema(name, version, shape, from_microseconds(at))


def publish(connection: Connection, schema: PublishedSchema) -> None:
    """Keep a version's shape in the place of the one before."""
    row = (schema.name, schema.version, schema.shape, to_microseconds(schema.at))
    connection.execute("insert or replace into published_schemas values (?, ?, ?, ?)", row)
