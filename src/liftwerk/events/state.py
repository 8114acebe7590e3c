"""One state of the log as SQL relations: a snapshot's tables, and what came in behind it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import duckdb
import pyarrow

from liftwerk.events.engine import quoted
from liftwerk.events.schema import EventType
from liftwerk.events.sequence import ENTITY_TABLE, VALUES_TABLE, parquet
from liftwerk.events.tail import Behind
from liftwerk.store.ledger.protocol import Ledger, Snapshot
from liftwerk.store.stores import Stores

FEW = 50
"""So many leaf keys are looked for in the files' filters; for more, every file is read."""


class Relation(NamedTuple):
    """Rows of one version of an event, and which columns they have."""

    sql: str
    present: Sequence[str]


class Wanted(NamedTuple):
    """Which rows a reader wants: of these leaf keys only, behind this offset only."""

    leaves: pyarrow.Array | pyarrow.ChunkedArray | None = None
    after_offset: int | None = None


EVERYTHING = Wanted()


class State:
    """What a reader sees, whatever comes in meanwhile.

    Parameters
    ----------
    stores : Stores
        Its tables are held: see `liftwerk.store.tables.Tables.reading`.
    connection : duckdb.DuckDBPyConnection
        Gets a relation for each table of the tail.
    tail : Behind, optional
        Without it the state is the latest snapshot.
    """

    def __init__(
        self, stores: Stores, connection: duckdb.DuckDBPyConnection, tail: Behind | None = None
    ) -> None:
        self._tables = stores.tables
        if tail is None:
            tail = Behind.nothing(stores.ledger.latest_snapshot())
        self.snapshot = tail.snapshot
        self._since = tail.since
        self._behind = tail.tables
        for name, rows in tail.tables.items():
            connection.register(_behind(name), rows)

    def relations(
        self, kind: EventType, wanted: Wanted = EVERYTHING, keys: Sequence[str] = ()
    ) -> list[Relation]:
        """Return where the rows of one version lie; may have others than are wanted, too.

        Parameters
        ----------
        kind : EventType
        wanted : Wanted
        keys : sequence of str
            The columns of leaf keys.
        """
        found = []
        files = self._files(kind, wanted, keys)
        if files:
            found.append(Relation(parquet(files), self._present(kind)))
        if kind.table in self._behind:
            names = self._behind[kind.table].column_names
            found.append(Relation(quoted(_behind(kind.table)), names))
        return found

    def _files(self, kind: EventType, wanted: Wanted, keys: Sequence[str]) -> list[str]:
        if self.snapshot is None or kind.table not in self.snapshot.tables:
            return []
        after = wanted.after_offset
        if after is not None and after >= self._since:
            return []
        version = self.snapshot.tables[kind.table]
        if wanted.leaves is None or len(wanted.leaves) > FEW:
            return self._tables.files(kind.table, version)
        return self._tables.files_holding(kind.table, version, keys, wanted.leaves.to_pylist())

    def _present(self, kind: EventType) -> list[str]:
        if self.snapshot is None:
            return []
        return list(self._tables.schema(kind.table, self.snapshot.tables[kind.table]).names)


def has_same_rows(ledger: Ledger, one: Snapshot | None, other: Snapshot | None) -> bool:
    """Say whether two snapshots hold the same events, up to where the shorter one ends.

    A snapshot that goes on behind the one before it holds all of that. One that ends where the one
    before it ends, with other versions of the events' tables, was made by who took rows out.
    """
    if one == other:
        return True
    if one is None or other is None:
        return False
    older, newer = sorted((one, other), key=lambda each: each.inbox_offset)
    row = ledger.snapshots_since(older.id)
    ids = [each.id for each in row]
    if newer.id not in ids:
        return False
    return all(
        first.inbox_offset < second.inbox_offset or _events(first) == _events(second)
        for first, second in itertools.pairwise(row[: ids.index(newer.id) + 1])
    )


def _events(snapshot: Snapshot) -> dict[str, int]:
    return {
        table: version
        for table, version in snapshot.tables.items()
        if table != VALUES_TABLE and not table.endswith(ENTITY_TABLE)
    }


def _behind(table: str) -> str:
    return f"_behind_{table}"
