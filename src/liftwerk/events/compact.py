"""The sequencer: what was admitted becomes rows of tables, each event once, under one snapshot.

Per batch, in an order that a kill may cut anywhere: tables are put back to the last snapshot ->
ids are compared -> clashes go to quarantine -> rows are written and synced -> the snapshot and its
audit entry are one transaction -> the inbox lets go of what now rests in the tables.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow
import pyarrow.compute
from msgspec import Struct, structs

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import StoreFault
from liftwerk.events.columns import leaf_hex
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.live import copy_live_decisions
from liftwerk.events.memory import release
from liftwerk.events.rows import BURIED, BY_CUSTOMER, ROWS, Bodies, gone, with_digests
from liftwerk.events.schema import EventType, Schema, schema_of
from liftwerk.events.sequence import VALUES_TABLE, Verdict, identifiers, know_ids, sort_out
from liftwerk.events.spared import spare_waiting
from liftwerk.events.versions import demand_compatible, to_publish
from liftwerk.faults import fault
from liftwerk.store.definition import STORE
from liftwerk.store.ids import keys_of, keys_of_digests
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.instants import to_microseconds
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

BATCH = 40_000
"""Events that are held in memory at once."""

ACTOR = "sequencer"
CLASH = "same id with other content"
UNDECLARED = "an event or version that is no longer declared"
_EVERYTHING = 2**62


class Compacted(Struct, frozen=True):
    """What a compaction did.

    Attributes
    ----------
    snapshot : Snapshot or None
        The one that readers see now; None when there never was an event.
    events : dict of str to int
        Event -> how many were new.
    duplicates : int
        Sent again with the same content, and dropped.
    quarantined : dict of str to int
        Reason -> how many.
    erased : int
        About erased customers, and dropped.
    """

    snapshot: Snapshot | None
    events: dict[str, int]
    duplicates: int
    quarantined: dict[str, int]
    erased: int


def compact(project: Project, stores: Stores, clock: Clock) -> Compacted:
    """Move everything from the inbox and the live decisions into the tables.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home: there is one sequencer.
    clock : Clock

    Returns
    -------
    Compacted
        When nothing came in, the snapshot is the one from before.

    Raises
    ------
    DefinitionError
        If a version of which rows are kept is declared otherwise now; nothing was written.
    StoreFault
        If the inbox ends before what its tables hold: it is not theirs.
    """
    demand_compatible(project, stores.ledger)
    schema = schema_of(project)
    snapshot = stores.ledger.latest_snapshot() or Snapshot(0, {}, clock.now())
    if snapshot.inbox_offset > stores.inbox.last_offset():
        what = f"the inbox ends at {stores.inbox.last_offset()}, before {snapshot.inbox_offset}"
        hint = "it is not the inbox that these tables came from: check [store], or restore a backup"
        raise StoreFault(what, "the inbox", hint)
    stores.tables.restore(snapshot.tables)
    know_ids(stores)
    copied = copy_live_decisions(schema, stores, snapshot)
    events: Counter[str] = Counter()
    quarantined: Counter[str] = Counter(copied.refused)
    duplicates = erased = 0
    after = snapshot.inbox_offset
    # No further than what is there now: while events come in as fast as they are sorted, a command
    # that sorts would never end, nor let go of the home.
    last = stores.inbox.last_offset()
    while after < last:
        rows = stores.inbox.read(after, BATCH)
        if rows.num_rows == 0:
            break
        batch = _Batch(schema, stores, rows)
        after = batch.last_offset
        snapshot = batch.commit(snapshot, copied.offset, clock.now())
        events.update(batch.events)
        quarantined.update(one.reason for one in batch.rejected)
        duplicates += batch.duplicates
        erased += batch.erased
        # Only now: what was taken out rests in a table or in quarantine.
        stores.inbox.trim(after, _trimmed_before(project, clock))
        release()
        # Here, not at the end: each entry of a log makes the next opening of its table slower.
        _vacuum(stores, snapshot)
    if copied.offset > snapshot.decisions_offset:  # every one of them was refused
        alike = structs.replace(snapshot, decisions_offset=copied.offset, at=clock.now())
        _put_snapshot(stores, alike, (), {})
    _vacuum(stores, snapshot)
    return Compacted(
        stores.ledger.latest_snapshot(),
        dict(sorted(events.items())),
        duplicates,
        dict(quarantined),
        erased,
    )


def _vacuum(stores: Stores, snapshot: Snapshot) -> None:
    for name in snapshot.tables:
        stores.tables.vacuum(name)


def _trimmed_before(project: Project, clock: Clock) -> int:
    """Say which rows of the inbox may go: those received before this, in microseconds."""
    kept = project.get(STORE).keep_inbox
    if kept is None:
        return _EVERYTHING
    return to_microseconds(clock.now() - timedelta(seconds=kept.seconds))


def _put_snapshot(
    stores: Stores, snapshot: Snapshot, kinds: Sequence[EventType], detail: dict[str, Any]
) -> None:
    """Move what readers see on, with the entry that says by what; what has rows is published."""
    news = to_publish(stores.ledger, kinds, snapshot.at)
    if news:
        detail["published"] = [f"{one.name} {one.version}" for one in news]
    with (
        fault("snapshot_commit"),
        stores.ledger.change(ACTOR, "events.compact", snapshot.id, detail, snapshot.at) as change,
    ):
        stores.ledger.put_snapshot(change, snapshot)
        for one in news:
            stores.ledger.publish_schema(change, one)


class _Batch:
    """Some rows of the inbox on their way into the tables."""

    def __init__(self, schema: Schema, stores: Stores, rows: pyarrow.Table) -> None:
        self.schema = schema
        self.stores = stores
        self.events: Counter[str] = Counter()
        self.rejected: list[Rejected] = []
        self.written: list[EventType] = []
        self.erased = 0
        self.last_offset: int = rows.column("offset")[-1].as_py()
        self.gone = gone(stores)
        rows = with_digests(spare_waiting(schema, rows, self.gone))
        digests = rows.column("digest").to_pylist()
        verdicts = sort_out(stores, rows.column("event_id").to_pylist(), digests)
        clashes = [place for place, verdict in verdicts.items() if verdict == Verdict.CLASH]
        self.duplicates = len(verdicts) - len(clashes)
        self._reject(rows.take(pyarrow.array(clashes, pyarrow.int64())), CLASH)
        self.rows = rows
        if verdicts:
            is_new = np.ones(rows.num_rows, np.bool_)
            is_new[list(verdicts)] = False
            self.rows = rows.filter(pyarrow.array(is_new))

    def _reject(self, rows: pyarrow.Table, reason: str) -> None:
        for row in rows.to_pylist():
            source = msgspec.json.decode(row["body"])["source"]
            detail = f"{row['name']}, id {uuid.UUID(bytes=row['event_id'])}"
            self.rejected.append(Rejected(source, row["received"], reason, detail, row["body"]))

    def commit(self, before: Snapshot, decisions_offset: int, now: datetime) -> Snapshot:
        """Write the rows, then the snapshot that names them."""
        written = self._write(before)
        if self.rejected:
            self.stores.inbox.quarantine_put(self.rejected)
        detail = {
            "events": dict(self.events),
            "duplicates": self.duplicates,
            "quarantined": len(self.rejected),
            "erased": self.erased,
        }
        tables = {**before.tables, **written, **self._merge(written)}
        snapshot = Snapshot(self.last_offset, tables, now, decisions_offset)
        _put_snapshot(self.stores, snapshot, self.written, detail)
        self._know(snapshot)
        return snapshot

    def _know(self, snapshot: Snapshot) -> None:
        """Let the ids go along with the snapshot."""
        self.stores.ids.add(
            keys_of(self.rows.column("event_id").to_pylist()),
            keys_of_digests(self.rows.column("digest").to_pylist()),
            snapshot.id,
        )

    def _write(self, before: Snapshot) -> dict[str, int]:
        """Append the rows to their tables; returns the new versions."""
        with connect() as connection:
            # Beside the processes that collect a second thread gains no time, and holds memory.
            connection.execute("SET threads = 1")
            return self._parsed(before, connection)

    def _parsed(self, before: Snapshot, connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
        bodies = Bodies(self.schema, connection, self.rows, self.gone)
        versions = {}
        for name in bodies.names:
            kinds = self.schema.versions(name)
            for kind in kinds:
                parsed = bodies.parse(kind)
                table = bodies.table(kind, BY_CUSTOMER)
                self.erased += parsed - table.num_rows
                if table.num_rows == 0:
                    continue
                self.events[name] += table.num_rows
                versions[kind.table] = self.stores.tables.append(kind.table, table)
                self.written.append(kind)
            self._reject_undeclared(connection, name, kinds)
        if self.written:
            table = self._new_values(connection, before)
            if table.num_rows:
                versions[VALUES_TABLE] = self.stores.tables.append(VALUES_TABLE, table)
        return versions

    def _merge(self, versions: dict[str, int]) -> dict[str, int]:
        """Let no table have too many small files; returns the new versions."""
        # What was parsed is written: its memory is needed for the rows that are merged, and theirs
        # for the batch that comes next.
        self.rows = self.rows.select(["event_id", "digest"])
        release()
        merged = {name: self.stores.tables.merge(name) for name in versions}
        release()
        return {name: version for name, version in merged.items() if version is not None}

    def _reject_undeclared(
        self, connection: duckdb.DuckDBPyConnection, name: str, kinds: Sequence[EventType]
    ) -> None:
        """Take out what was admitted under a version that the project no longer declares."""
        sql = f'SELECT "offset" FROM {ROWS} WHERE name = {text(name)}'
        for kind in kinds:
            sql += f" EXCEPT SELECT o FROM {quoted(kind.table)}"
        undeclared = [offset for (offset,) in connection.execute(sql).fetchall()]
        if undeclared:
            is_undeclared = pyarrow.compute.field("offset").isin(undeclared)
            self._reject(self.rows.filter(is_undeclared), UNDECLARED)
            self.rows = self.rows.filter(~is_undeclared)

    def _new_values(
        self,
        connection: duckdb.DuckDBPyConnection,
        before: Snapshot,
    ) -> pyarrow.Table:
        """Return the identifiers that were never seen before, beside their leaf keys.

        Test traffic names nobody that there is.
        """
        seen = " UNION ALL ".join(
            f"SELECT unhex({leaf_hex(namespace)}) AS leaf, {text(namespace)} AS namespace,"
            f" j.identifiers.{quoted(namespace)} AS value, j.time::TIMESTAMPTZ AS time, o,"
            " coalesce(j.synthetic, FALSE) AS synthetic"
            f" FROM {quoted(kind.table)}"
            for kind in self.written
            for namespace in self.schema.namespaces
        )
        # Known ones are streamed past the batch's, not held: there may be many millions.
        return connection.sql(
            f"""
            WITH told AS (
                SELECT leaf, namespace, min(value) AS value, min(time) AS time, min(o) AS "offset"
                FROM ({seen}) WHERE value IS NOT NULL AND NOT synthetic
                GROUP BY leaf, namespace
            ),
            known AS (
                SELECT leaf FROM {identifiers(self.stores, before)} SEMI JOIN told USING (leaf)
            )
            SELECT * FROM told
            WHERE leaf NOT IN (SELECT leaf FROM {BURIED}) AND leaf NOT IN (SELECT leaf FROM known)
            ORDER BY leaf
            """
        ).to_arrow_table()
