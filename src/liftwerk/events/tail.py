"""What is acknowledged and not compacted yet, as it will be once it is.

A reader that may not wait for the sequencer reads the latest snapshot and, behind it, the inbox.
Both together are what the tables alone would be after a compaction up to the same offset: the first
event of an id counts, a repetition and other content under the same id are dropped, and so are
rows of the erased and of versions that are not declared. `liftwerk.events.read.relations` takes
them as its ``tail``.

Meanwhile the sequencer, another process, may commit a snapshot and let the inbox go, between any
two reads. It lets rows go only after the snapshot that holds them is committed. So the inbox is
read first and the snapshot after: what was gone from the inbox then is in that snapshot, and every
row behind it was read. Ids are compared last; when another snapshot is there afterwards, they are
compared again.

One core takes in some 40,000 events a second by 5,000 at a time and 16,000 by 1,000 at a time
(three kinds of events, 450,000 in the tables): such a batch costs some 50 ms beside its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow
import pyarrow.compute

from liftwerk.definitions.project import Project
from liftwerk.events.columns import leaf_columns
from liftwerk.events.engine import connect_for_few
from liftwerk.events.rows import BY_OFFSET, Bodies, gone, with_digests
from liftwerk.events.schema import Schema, schema_of
from liftwerk.events.sequence import Beside, sort_out
from liftwerk.events.spared import SPARED, spare_rows, spare_waiting
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

ROWS = 20_000
"""Rows of the inbox that are taken in at a time, unless it is said."""

MOST = 250_000
"""Rows that are held in memory; some 0.5 kB each."""

PARTS = 32
"""Parts that a table in memory may have before they are made one."""


@dataclass(frozen=True)
class Behind:
    """One state of the log: a snapshot, and what came in behind it up to an offset.

    Attributes
    ----------
    snapshot : Snapshot or None
        None before the first.
    offset : int
        The last that is known, whether its row is new or was dropped.
    tables : mapping of str to pyarrow.Table
        Name of a table -> its rows behind the snapshot, with its columns, in the order of the log.
    """

    snapshot: Snapshot | None
    offset: int
    tables: Mapping[str, pyarrow.Table]

    @classmethod
    def nothing(cls, snapshot: Snapshot | None) -> Behind:
        """Return the state that a snapshot is by itself."""
        return cls(snapshot, _offset_of(snapshot), {})

    @property
    def since(self) -> int:
        """The last offset that the snapshot holds."""
        return _offset_of(self.snapshot)


class Tail:
    """Reads the inbox behind the latest snapshot, each row once.

    Rows are parsed when they come and kept as Arrow tables; what the snapshot holds is forgotten
    as it moves on. So a reading costs what is new. In memory are at most ``most`` rows: when the
    sequencer falls further behind, nothing more is taken in, and the offset stands still until it
    has caught up.

    One thread uses it at a time.

    Parameters
    ----------
    project : Project
    stores : Stores
    most : int
        Rows that are held.

    Examples
    --------
    ::

        tail = Tail(project, stores)
        while True:
            with (
                tail.reading() as behind,
                relations(project, stores, "ads", tail=behind) as connection,
            ):
                ...
    """

    def __init__(self, project: Project, stores: Stores, most: int = MOST) -> None:
        self._schema = schema_of(project)
        self._stores = stores
        self._most = most
        self._gone: frozenset[bytes] = frozenset()
        self._since = self._offset = _offset_of(stores.ledger.latest_snapshot())
        self._held = _HELD.empty_table()
        self._tables: dict[str, pyarrow.Table] = {}

    @property
    def offset(self) -> int:
        """The last offset that was taken in, or that the snapshot holds."""
        return self._offset

    @contextmanager
    def reading(self, limit: int = ROWS) -> Iterator[Behind]:
        """Take in what is new, and hold the snapshot's files while it is read.

        Parameters
        ----------
        limit : int
            Rows of the inbox to take in at most.

        Yields
        ------
        Behind
            Its offset never goes back.
        """
        with self._stores.tables.reading():
            yield self._read(limit)

    def _read(self, limit: int) -> Behind:
        rows = self._stores.inbox.read(
            self._offset, max(0, min(limit, self._most - self._held.num_rows))
        )
        erased = gone(self._stores)
        if erased - self._gone:
            self._tables = {
                name: _spared(self._schema, name, table, erased)
                for name, table in self._tables.items()
            }
        self._gone = erased
        found = _Found(self._schema, rows, erased)
        while True:
            snapshot = self._stores.ledger.latest_snapshot()
            offset = _offset_of(snapshot)
            new = self._new(found.behind(offset))
            is_known = snapshot is None or self._stores.ids.snapshot == snapshot.id
            if self._stores.ledger.latest_snapshot() == snapshot:
                break
        self._forget(offset, is_known)
        self._add(found, new)
        return Behind(snapshot, self._offset, dict(self._tables))

    def _new(self, rows: pyarrow.Table) -> pyarrow.Table:
        """Leave out what is known, or says something else of what is."""
        beside = Beside(self._since, self._offset, self._held)
        ids, digests = (rows.column(name).to_pylist() for name in ("id", "digest"))
        verdicts = sort_out(self._stores, ids, digests, beside)
        if not verdicts:
            return rows
        dropped = pyarrow.array(list(verdicts), pyarrow.int64())
        places = pyarrow.array(range(rows.num_rows), pyarrow.int64())
        return rows.filter(pyarrow.compute.invert(pyarrow.compute.is_in(places, value_set=dropped)))

    def _add(self, found: _Found, new: pyarrow.Table) -> None:
        self._held = _joined(self._held, new)
        self._offset = max(self._offset, found.last)
        for name, table in found.tables.items():
            if new.num_rows < found.rows.num_rows:
                is_new = pyarrow.compute.is_in(table.column("offset"), new.column("offset"))
                table = table.filter(is_new)
            if name in self._tables:
                table = _joined(self._tables[name], table)
            if table.num_rows:
                self._tables[name] = table

    def _forget(self, offset: int, is_known: bool) -> None:
        """Let go of what the snapshot holds; of its ids only when they are known without us."""
        self._tables = {
            name: rest
            for name, table in self._tables.items()
            if (rest := _behind(table, offset)).num_rows
        }
        if is_known or offset > self._offset:
            self._held = _behind(self._held, offset)
            self._since = offset
        self._offset = max(self._offset, offset)


_HELD = pyarrow.schema(
    [("id", pyarrow.binary()), ("digest", pyarrow.binary()), ("offset", pyarrow.int64())]
)


class _Found:
    """Rows of the inbox: parsed, and not compared with anything yet."""

    def __init__(self, schema: Schema, rows: pyarrow.Table, erased: frozenset[bytes]) -> None:
        digested = with_digests(spare_waiting(schema, rows, erased))
        self.rows = pyarrow.table(
            [digested.column(name) for name in ("event_id", "digest", "offset")],
            _HELD.names,
        ).cast(_HELD)
        self.tables: dict[str, pyarrow.Table] = {}
        self.last = 0
        if not rows.num_rows:
            return
        self.last = rows.column("offset")[-1].as_py()
        with connect_for_few() as connection:
            bodies = Bodies(schema, connection, digested, erased)
            for name in bodies.names:
                for kind in schema.versions(name):
                    if bodies.parse(kind):
                        self.tables[kind.table] = bodies.table(kind, BY_OFFSET)

    def behind(self, offset: int) -> pyarrow.Table:
        """Return ``id``, ``digest`` and ``offset`` of those behind an offset."""
        return _behind(self.rows, offset)


def _offset_of(snapshot: Snapshot | None) -> int:
    if snapshot is None:
        return 0
    return snapshot.inbox_offset


def _joined(table: pyarrow.Table, more: pyarrow.Table) -> pyarrow.Table:
    joined = pyarrow.concat_tables([table, more])
    if joined.column("offset").num_chunks > PARTS:
        return joined.combine_chunks()
    return joined


def _behind(table: pyarrow.Table, offset: int) -> pyarrow.Table:
    column = table.column("offset")
    if not table.num_rows or column[0].as_py() > offset:
        return table
    return table.filter(pyarrow.compute.greater(column, offset))


def _without(schema: Schema, table: pyarrow.Table, erased: frozenset[bytes]) -> pyarrow.Table:
    keys = pyarrow.array(sorted(erased), pyarrow.binary())
    for leaf in leaf_columns(schema):
        is_gone = pyarrow.compute.is_in(table.column(leaf), value_set=keys)
        table = table.filter(pyarrow.compute.invert(is_gone))
    return table


def _spared(
    schema: Schema, name: str, table: pyarrow.Table, erased: frozenset[bytes]
) -> pyarrow.Table:
    """Take the erased out, in the order of the log, but for what is said of others, too."""
    left = _without(schema, table, erased)
    kinds = {kind.table: event for event in SPARED for kind in schema.versions(event)}
    if name not in kinds or left.num_rows == table.num_rows:
        return left
    is_left = pyarrow.compute.is_in(table.column("offset"), value_set=left.column("offset"))
    rows = table.filter(pyarrow.compute.invert(is_left))
    spared = spare_rows(schema, kinds[name], rows, erased)
    return pyarrow.concat_tables([left, spared]).sort_by("offset")
