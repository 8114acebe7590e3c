"""What was seen, from the event tables: a few narrow scans, however many properties there are.

Everything is read for the built-in purpose ``audit``: an inventory must show what may not be used,
too. It gives out counts and times, and no value of anybody.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.events.columns import LEAF, columns_of
from liftwerk.events.consent.statements import CHANGE
from liftwerk.events.engine import quoted, text
from liftwerk.events.inventory.latency import bucket_sql
from liftwerk.events.read import relations
from liftwerk.events.schema import Schema
from liftwerk.events.sequence import ENTITY_TABLE, VALUES_TABLE
from liftwerk.store.stores import Stores
from liftwerk.store.tables.protocol import PARTITION

PURPOSE = "audit"
READABLE = "_readable"


@dataclass
class Facts:
    """Sums over some rows of one event from one source."""

    events: int = 0
    weight: float = 0.0
    last_time: datetime | None = None
    last_received: datetime | None = None
    known: int = 0
    missing: int = 0
    unreadable: int = 0
    without_customer: int = 0
    identified: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    granted: Counter[str] = field(default_factory=Counter)


@dataclass
class Observed:
    """What the tables hold.

    Attributes
    ----------
    facts : dict
        Event and source -> sums, test traffic left out.
    synthetic : Counter
        Event and source -> rows of test traffic.
    to_us, to_readers : dict
        Event and source -> bucket of the time it took -> rows.
    sessions : dict
        Source -> sessions, and how many of them have no consent state.
    last, by_hour : dict
        Source -> when the last event came, and events by hour since 1970, of all time.
    """

    facts: dict[tuple[str, str], Facts] = field(default_factory=dict)
    synthetic: Counter[tuple[str, str]] = field(default_factory=Counter)
    to_us: dict[tuple[str, str], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    to_readers: dict[tuple[str, str], Counter[int]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    sessions: dict[str, tuple[int, int]] = field(default_factory=dict)
    last: dict[str, datetime] = field(default_factory=dict)
    by_hour: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))


def observe(
    project: Project,
    stores: Stores,
    schema: Schema,
    purposes: Sequence[str],
    since: datetime | None,
) -> Observed:
    """Look through the tables.

    Parameters
    ----------
    project : Project
    stores : Stores
    schema : Schema
    purposes : sequence of str
        Count in how many events each was granted.
    since : datetime or None
        Only what came since then, other than for the rhythm of sources.

    Returns
    -------
    Observed
    """
    found = Observed()
    condition = "TRUE"
    if since is not None:
        condition = f"received >= TIMESTAMPTZ {text(since.isoformat())}"
    with _views(project, stores) as connection:
        _facts(connection, schema, purposes, condition, found)
        _latency(connection, schema, condition, found)
        _sessions(connection, schema, condition, found)
        _arrivals(connection, schema, found)
    return found


@contextmanager
def _views(project: Project, stores: Stores) -> Iterator[duckdb.DuckDBPyConnection]:
    steps = stores.ledger.readable()
    readable = pyarrow.table(
        {
            "upto": pyarrow.array([upto for upto, _ in steps], pyarrow.int64()),
            "at": pyarrow.array([at for _, at in steps], pyarrow.timestamp("us", "UTC")),
        }
    )
    with relations(project, stores, PURPOSE, beside={READABLE: readable}) as connection:
        yield connection


def _facts(
    connection: duckdb.DuckDBPyConnection,
    schema: Schema,
    purposes: Sequence[str],
    condition: str,
    found: Observed,
) -> None:
    customers = [name for name, one in schema.namespaces.items() if not one.anonymous]
    nobody = "FALSE"
    if len(customers) < len(schema.namespaces):
        nobody = " AND ".join([f"{quoted(LEAF + name)} IS NULL" for name in customers] or ["TRUE"])
    unknown = "consent_granted IS NULL AND consent_source"
    granted = [_many(f"list_contains(consent_granted, {text(name)})") for name in purposes]
    selects = [
        f"""
        SELECT {text(name)} AS event, source, synthetic, count(*) AS events, sum(weight) AS weight,
            max(time) AS last_time, max(received) AS last_received,
            count(consent_granted) AS known, {_many(f"{unknown} IS NULL")} AS missing,
            {_many(f"{unknown} IS NOT NULL")} AS unreadable,
            {_many(nobody)} AS without_customer,
            {_counts(LEAF + space for space in schema.namespaces)} AS identified,
            {_counts(kind.definition.properties)} AS filled,
            {_listed(granted)} AS granted
        FROM {quoted(name)} WHERE {condition} GROUP BY source, synthetic
        """
        for name, kind in schema.types.items()
    ]
    for row in _rows(connection, " UNION ALL ".join(selects)):
        key = row.pop("event"), row.pop("source")
        if row.pop("synthetic"):
            found.synthetic[key] += row["events"]
            continue
        row["identified"] = Counter(dict(zip(schema.namespaces, row["identified"], strict=True)))
        properties = schema.types[key[0]].definition.properties
        row["filled"] = Counter(dict(zip(properties, row["filled"], strict=True)))
        row["granted"] = Counter(dict(zip(purposes, row["granted"], strict=True)))
        found.facts[key] = Facts(**row)


def _counts(columns: Iterable[str]) -> str:
    return _listed([f"count({quoted(column)})" for column in columns])


def _many(condition: str) -> str:
    # Not count_if: that is null where the condition is null in every row.
    return f"count(*) FILTER (WHERE {condition})"


def _listed(counts: Sequence[str]) -> str:
    return f"[{', '.join(counts)}]::BIGINT[]"


def _latency(
    connection: duckdb.DuckDBPyConnection, schema: Schema, condition: str, found: Observed
) -> None:
    every = _every(
        schema,
        'source, trust, epoch_us(received) AS received, epoch_us(time) AS time, "offset"',
        f"{condition} AND NOT synthetic",
    )
    arrived = (
        f"SELECT event, source, {bucket_sql('received - time')} AS bucket, count(*) AS events"
        f" FROM ({every}) WHERE trust <> 'import' GROUP BY ALL"
    )
    # The first snapshot that reached the row's offset made it readable.
    read = (
        f"SELECT event, source, {bucket_sql('epoch_us(r.at) - received')} AS bucket,"
        f" count(*) AS events FROM ({every}) AS e ASOF JOIN {READABLE} AS r"
        ' ON e."offset" <= r.upto GROUP BY ALL'
    )
    for sql, kept in ((arrived, found.to_us), (read, found.to_readers)):
        for row in _rows(connection, sql):
            kept[row["event"], row["source"]][row["bucket"]] += row["events"]


def _sessions(
    connection: duckdb.DuckDBPyConnection, schema: Schema, condition: str, found: Observed
) -> None:
    # Who changed their consent in a session has said something of it there.
    every = _every(
        schema,
        "source, session, consent_granted IS NOT NULL AS told",
        f"{condition} AND NOT synthetic AND session IS NOT NULL",
    )
    rows = _rows(
        connection,
        f"""
        SELECT source, count(*) AS sessions, {_many("NOT told")} AS without
        FROM (
            SELECT source, session, bool_or(told OR event = {text(CHANGE)}) AS told
            FROM ({every}) GROUP BY source, session
        )
        GROUP BY source
        """,
    )
    found.sessions = {row["source"]: (row["sessions"], row["without"]) for row in rows}


def _arrivals(connection: duckdb.DuckDBPyConnection, schema: Schema, found: Observed) -> None:
    every = _every(schema, "source, received", "NOT synthetic")
    sql = (
        "SELECT source, epoch(received)::BIGINT // 3600 AS hour, count(*) AS events,"
        f" max(received) AS last FROM ({every}) GROUP BY ALL ORDER BY hour"
    )
    for row in _rows(connection, sql):
        found.by_hour[row["source"]][row["hour"]] = row["events"]
        found.last[row["source"]] = row["last"]


def _every(schema: Schema, columns: str, condition: str) -> str:
    """Put the same columns of all events under each other, with the event's name."""
    return " UNION ALL ".join(
        f"SELECT {text(name)} AS event, {columns} FROM {quoted(name)} WHERE {condition}"
        for name in schema.types
    )


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = connection.sql(sql).to_arrow_table().to_pylist()
    return rows


def kept_undeclared(stores: Stores, schema: Schema) -> dict[str, list[str]]:
    """Say what tables hold that is not declared any more, from their heads alone.

    Parameters
    ----------
    stores : Stores
    schema : Schema

    Returns
    -------
    dict of str to list of str
        Table -> columns; none of them where the table's event or version is not declared.
    """
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return {}
    declared = {kind.table: kind for name in schema.types for kind in schema.versions(name)}
    found: dict[str, list[str]] = {}
    with stores.tables.reading():
        for table, version in sorted(snapshot.tables.items()):
            if table == VALUES_TABLE or table.endswith(ENTITY_TABLE):
                continue
            if table not in declared:
                found[table] = []
                continue
            known = {column.name for column in columns_of(schema, declared[table])}
            kept = stores.tables.schema(table, version).names
            strays = [name for name in kept if name not in known and name != PARTITION]
            if strays:
                found[table] = strays
    return found
