"""The sequencer: what was admitted becomes rows of tables, each event once, under one snapshot.

Per batch, in an order that a kill may cut anywhere: tables are put back to the last snapshot ->
ids are compared -> clashes go to quarantine -> rows are written and synced -> the snapshot and its
audit entry are one transaction -> the inbox lets go of what now rests in the tables.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import duckdb
import msgspec
import pyarrow
from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.admit import digest
from liftwerk.events.columns import columns_of, json_shape, leaf_columns, leaf_hex
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.live import copy_live_decisions
from liftwerk.events.schema import EventType, Schema, schema_of
from liftwerk.events.sequence import VALUES_TABLE, Verdict, file_list, sort_out
from liftwerk.faults import fault
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

BATCH = 500_000
"""Events that are held in memory at once."""

DROPPED = (Verdict.REPEATED, Verdict.KEPT)
ACTOR = "sequencer"
CLASH = "same id with other content"
UNDECLARED = "no longer declared"
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


class _Head(Struct):
    version: int
    source: str


_head = msgspec.json.Decoder(_Head)


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
        When nothing was new, the snapshot is the one from before.
    """
    schema = schema_of(project)
    snapshot = stores.ledger.latest_snapshot()
    tables: dict[str, int] = {}
    if snapshot is not None:
        tables = snapshot.tables
    stores.tables.restore(tables)
    decisions_offset = copy_live_decisions(schema, stores, snapshot)
    events: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    duplicates = erased = 0
    after = 0
    while True:
        rows = stores.inbox.read(after, BATCH)
        if rows.num_rows == 0:
            break
        batch = _Batch(schema, stores, rows)
        after = batch.last_offset
        snapshot = batch.commit(snapshot, decisions_offset, clock.now())
        events.update(batch.events)
        quarantined.update(one.reason for one in batch.rejected)
        duplicates += batch.duplicates
        erased += batch.erased
    return Compacted(snapshot, dict(sorted(events.items())), duplicates, dict(quarantined), erased)


class _Batch:
    """Some rows of the inbox on their way into the tables."""

    def __init__(self, schema: Schema, stores: Stores, rows: pyarrow.Table) -> None:
        self.schema = schema
        self.stores = stores
        self.events: Counter[str] = Counter()
        self.rejected: list[Rejected] = []
        self.erased = 0
        self.last_offset: int = rows.column("offset")[-1].as_py()
        bodies = rows.column("body").to_pylist()
        digests = [digest(body) for body in bodies]
        verdicts = sort_out(stores, rows.column("event_id").to_pylist(), digests)
        self.duplicates = sum(verdict in DROPPED for verdict in verdicts)
        new = [verdict == Verdict.NEW for verdict in verdicts]
        trusts = []
        for place, verdict in enumerate(verdicts):
            trusts.append(self._judge(rows, place, bodies[place], verdict, new))
        rows = rows.append_column("digest", pyarrow.array(digests, pyarrow.binary()))
        rows = rows.append_column("trust", pyarrow.array(trusts, pyarrow.string()))
        self.rows = rows.filter(pyarrow.array(new))

    def _judge(
        self, rows: pyarrow.Table, place: int, body: bytes, verdict: Verdict, new: list[bool]
    ) -> str | None:
        """Return the trust of a row's source; what cannot be kept is rejected and not new."""
        if verdict in DROPPED:
            return None
        head = _head.decode(body)
        name = rows.column("name")[place].as_py()
        reason = ""
        kind = self.schema.types.get(name)
        if verdict == Verdict.CLASH:
            reason = CLASH
        elif kind is None or kind.definition.version != head.version:
            reason = f"{name} version {head.version}: {UNDECLARED}"
        if reason:
            new[place] = False
            event_id = uuid.UUID(bytes=rows.column("event_id")[place].as_py())
            received = rows.column("received")[place].as_py()
            self.rejected.append(Rejected(head.source, received, reason, f"id {event_id}", body))
            return None
        source = self.schema.sources.get(head.source)
        if source is None:  # no longer declared: its word counts least
            return "browser"
        return source.trust

    def commit(
        self, before: Snapshot | None, decisions_offset: int, now: datetime
    ) -> Snapshot | None:
        """Write the rows, then the snapshot that names them, then let the inbox go."""
        stores = self.stores
        if self.rejected:
            stores.inbox.quarantine_put(self.rejected)
        written = self._write(before)
        tables: dict[str, int] = {}
        copied = 0
        if before is not None:
            tables = before.tables
            copied = before.decisions_offset
        snapshot = before
        if written or decisions_offset > copied:
            tables = {**tables, **written}
            snapshot = Snapshot(self.last_offset, tables, now, decisions_offset)
            detail = {
                "events": dict(self.events),
                "duplicates": self.duplicates,
                "quarantined": len(self.rejected),
                "erased": self.erased,
            }
            with (
                fault("snapshot_commit"),
                stores.ledger.change(ACTOR, "events.compact", snapshot.id, detail, now) as change,
            ):
                stores.ledger.put_snapshot(change, snapshot)
        # Only now: what was dropped rests in a table or in quarantine.
        stores.inbox.trim(self.last_offset, _EVERYTHING)
        return snapshot

    def _write(self, before: Snapshot | None) -> dict[str, int]:
        """Append the rows to their tables; returns the new versions."""
        connection = connect()
        connection.register("batch", self.rows)
        connection.register("buried", _keys(self.stores.ledger.buried()))
        names = sorted(set(self.rows.column("name").to_pylist()))
        versions = {}
        values = []
        for name in names:
            kind = self.schema.types[name]
            connection.execute(f"CREATE TABLE {quoted(name)} AS {_rows_sql(self.schema, kind)}")
            table = connection.sql(_table_sql(self.schema, kind)).to_arrow_table()
            [(parsed,)] = connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchall()
            self.erased += parsed - table.num_rows
            if table.num_rows == 0:
                continue
            self.events[name] = table.num_rows
            versions[kind.table] = self.stores.tables.append(kind.table, table)
            values.append(name)
        if values:
            table = self._new_values(connection, values, before)
            if table.num_rows:
                versions[VALUES_TABLE] = self.stores.tables.append(VALUES_TABLE, table)
        return versions

    def _new_values(
        self,
        connection: duckdb.DuckDBPyConnection,
        names: Sequence[str],
        before: Snapshot | None,
    ) -> pyarrow.Table:
        """Return the identifiers that were never seen before, beside their leaf keys."""
        seen = " UNION ALL ".join(
            f"SELECT unhex({leaf_hex(namespace)}) AS leaf, {text(namespace)} AS namespace,"
            f" j.identifiers.{quoted(namespace)} AS value, j.time::TIMESTAMPTZ AS time, o"
            f" FROM {quoted(name)}"
            for name in names
            for namespace in self.schema.namespaces
        )
        known = "SELECT NULL::BLOB AS leaf WHERE FALSE"
        if before is not None and VALUES_TABLE in before.tables:
            files = self.stores.tables.files(VALUES_TABLE, before.tables[VALUES_TABLE])
            known = f"SELECT leaf FROM read_parquet({file_list(files)}, hive_partitioning = false)"
        return connection.sql(
            f"""
            SELECT leaf, namespace, min(value) AS value, min(time) AS time, min(o) AS "offset"
            FROM ({seen}) WHERE value IS NOT NULL
            GROUP BY leaf, namespace
            HAVING leaf NOT IN (SELECT leaf FROM buried) AND leaf NOT IN ({known})
            ORDER BY leaf
            """
        ).to_arrow_table()


def _rows_sql(schema: Schema, kind: EventType) -> str:
    """Parse the bodies of one event."""
    return (
        'SELECT "offset" AS o, received, digest, trust,'
        f" from_json(decode(body), {text(json_shape(schema, kind))}) AS j"
        f" FROM batch WHERE name = {text(kind.name)}"
    )


def _table_sql(schema: Schema, kind: EventType) -> str:
    """Turn parsed bodies into the table's columns, sorted so that one customer lies together."""
    columns = ", ".join(
        f"({column.expression})::{column.type} AS {quoted(column.name)}"
        for column in columns_of(schema, kind)
    )
    alive = "".join(
        f" AND ({quoted(leaf)} IS NULL OR {quoted(leaf)} NOT IN (SELECT leaf FROM buried))"
        for leaf in leaf_columns(schema)
    )
    return (
        f"SELECT * FROM (SELECT {columns} FROM {quoted(kind.name)}) WHERE TRUE{alive}"
        ' ORDER BY customer_bucket NULLS LAST, time, "offset"'
    )


def _keys(leaves: frozenset[bytes]) -> pyarrow.Table:
    return pyarrow.table({"leaf": pyarrow.array(sorted(leaves), pyarrow.binary())})
