"""Rows of reference data -> their table, under a new snapshot; nothing is overwritten.

What a row says holds from ``valid_from`` and is known from ``known_at``. A row that says again
what is kept changes nothing, so a file can be imported as often as one likes. Where a row says
something else about a moment that is spoken for already, it is a correction: it is added, and
takes the other's place from its own known time on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import duckdb
import pyarrow
from msgspec import Struct, structs

from liftwerk.clock import Clock
from liftwerk.errors import ProjectError
from liftwerk.events.engine import connect, quoted, text
from liftwerk.events.entities.schema import EntityType
from liftwerk.events.sequence import parquet
from liftwerk.faults import fault
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores
from liftwerk.store.tables.protocol import PARTITION

ACTOR = "entities"

Knowledge = Literal["told", "made"]
"""Whether rows tell since when they are known, or it is made: a delay, or the time of import."""

CLASH = "the same key, valid_from and known_at as {other}, with other content"
CLASH_MADE = "the same key and valid_from as {other}, with other content"
AHEAD = "known_at lies ahead: nobody knows it yet"


class Put(Struct, frozen=True):
    """What became of some rows.

    Attributes
    ----------
    table : pyarrow.Table
        What is new, as it is kept.
    corrections : int
        How many of them take the place of a row that is kept.
    duplicates : int
        Rows that say what is kept already.
    erased : int
        Rows about erased customers, left out.
    bad : dict of int to str
        Number of a row -> why it can't be kept.
    """

    table: pyarrow.Table
    corrections: int
    duplicates: int
    erased: int
    bad: dict[int, str]


def sort_rows(
    kind: EntityType,
    stores: Stores,
    rows: Sequence[tuple[int, bytes]],
    knowledge: Knowledge,
    now: datetime,
) -> Put:
    """Hold checked rows against what is kept; nothing is written.

    Parameters
    ----------
    kind : EntityType
    stores : Stores
        The caller holds the home.
    rows : sequence of (int, bytes)
        Numbers and JSON, from `liftwerk.events.entities.schema.check_rows`.
    knowledge : str
        ``told``: every row says its ``known_at``. ``made``: one that says none, or one ahead, is
        known from now on; and what differs from a row that is kept was learnt now.
    now : datetime
        The time of import.

    Returns
    -------
    Put

    Raises
    ------
    ProjectError
        If a property was kept with another type.
    """
    connection = connect()
    numbers = pyarrow.array([number for number, _ in rows], pyarrow.int64())
    bodies = pyarrow.array([body for _, body in rows], pyarrow.binary()).cast(pyarrow.string())
    connection.register("batch", pyarrow.table({"n": numbers, "body": bodies}))
    buried = pyarrow.array(sorted(stores.ledger.buried()), pyarrow.binary())
    connection.register("buried", pyarrow.table({"leaf": buried}))
    with stores.tables.reading():
        _prepare(connection, kind, stores, now)
        connection.execute(f"CREATE TABLE judged AS {_JUDGE[knowledge](kind)}")
        found = connection.sql("SELECT n, verdict, other FROM judged WHERE verdict <> 'new'")
        verdicts = found.fetchall()
        table = connection.sql(_new_sql(kind, stores, now)).to_arrow_table()
    [(corrections,)] = connection.sql(
        "SELECT count(*) FROM judged WHERE verdict = 'new' AND corrects"
    ).fetchall()
    connection.close()
    clash = {"told": CLASH, "made": CLASH_MADE}[knowledge]
    bad = {}
    for number, verdict, other in verdicts:
        if verdict == "clash":
            bad[number] = f"{kind.name}: {clash.format(other=_named(other))}"
        elif verdict == "ahead":
            bad[number] = f"{kind.name}: {AHEAD}"
    seen = [verdict for _, verdict, _ in verdicts]
    return Put(table, corrections, seen.count("known"), seen.count("erased"), bad)


def put(kind: EntityType, stores: Stores, table: pyarrow.Table, clock: Clock) -> None:
    """Keep sorted rows: the table's new version, and the snapshot that names it.

    Parameters
    ----------
    kind : EntityType
    stores : Stores
        The caller holds the home, and has since `sort_rows` looked.
    table : pyarrow.Table
        As `sort_rows` returned it; nothing happens when it is empty.
    clock : Clock
    """
    if table.num_rows == 0:
        return
    now = clock.now()
    before = stores.ledger.latest_snapshot() or Snapshot(0, {}, now)
    # What a killed import left behind its snapshot is dropped first.
    stores.tables.restore(before.tables)
    version = stores.tables.append(kind.table, table)
    after = structs.replace(before, tables={**before.tables, kind.table: version}, at=now)
    detail = {"entity": kind.name, "rows": table.num_rows}
    with (
        fault("entity_commit"),
        stores.ledger.change(ACTOR, "entities.put", after.id, detail, now) as change,
    ):
        stores.ledger.put_snapshot(change, after)


def _named(other: int | None) -> str:
    if other is None:
        return "a row that is kept"
    return f"row {other}"


def _prepare(
    connection: duckdb.DuckDBPyConnection, kind: EntityType, stores: Stores, now: datetime
) -> None:
    """Make ``batch`` typed rows, and ``kept`` the keys, times and digests of those in the table."""
    properties = ", ".join(
        f"({column.expression})::{column.type} AS {quoted(column.name)}" for column in kind.columns
    )
    connection.execute(f"CREATE TABLE import_time AS SELECT {_instant(now)} AS moment")
    connection.execute(
        "CREATE TABLE typed AS"
        " SELECT n, coalesce(j.time::TIMESTAMPTZ, (SELECT moment FROM import_time)) AS valid_from,"
        f" j.time IS NULL AS from_now, j.known_at::TIMESTAMPTZ AS told, {properties}"
        f" FROM (SELECT n, from_json(body, {text(kind.json_shape)}) AS j FROM batch)"
    )
    named = ", ".join(f"{text(column.name)}: {quoted(column.name)}" for column in kind.columns)
    leaves = "".join(
        f", unhex(left(sha256({text(leaf.removeprefix('leaf_'))} || chr(0) || {quoted(key)}), 32))"
        f" AS {quoted(leaf)}"
        for leaf, key in kind.leaves.items()
    )
    gone = " OR ".join(
        ["FALSE", *(f"{quoted(leaf)} IN (SELECT leaf FROM buried)" for leaf in kind.leaves)]
    )
    connection.execute(
        "CREATE TABLE held AS SELECT *, coalesce("
        f"{gone}, FALSE) AS erased FROM (SELECT *{leaves},"
        f" unhex(left(sha256(to_json({{{named}}})::VARCHAR), 16)) AS digest FROM typed)"
    )
    keys = ", ".join(map(quoted, kind.definition.key))
    connection.execute(
        f'CREATE TABLE kept AS SELECT {keys}, valid_from, known_at, "offset", digest'
        f' FROM held, (SELECT NULL::TIMESTAMPTZ AS known_at, NULL::BIGINT AS "offset") LIMIT 0'
    )
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None or kind.table not in snapshot.tables:
        return
    version = snapshot.tables[kind.table]
    _demand_types(connection, kind, stores.tables.schema(kind.table, version))
    files = stores.tables.files(kind.table, version)
    if files:
        connection.execute(
            f'INSERT INTO kept SELECT {keys}, valid_from, known_at, "offset", digest'
            f" FROM {parquet(files)}"
        )


def _demand_types(
    connection: duckdb.DuckDBPyConnection, kind: EntityType, schema: pyarrow.Schema
) -> None:
    """Refuse a property whose type is not what the rows before were kept with."""
    connection.register("as_kept", schema.empty_table())
    kept = dict(
        connection.sql("SELECT column_name, column_type FROM (DESCRIBE as_kept)").fetchall()
    )
    connection.register("wanted", connection.sql("SELECT * FROM typed LIMIT 0").to_arrow_table())
    wanted = dict(
        connection.sql("SELECT column_name, column_type FROM (DESCRIBE wanted)").fetchall()
    )
    for column in kind.columns:
        before, now = kept.get(column.name), wanted[column.name]
        if before is not None and before != now:
            what = f"{column.name} is kept as {before.lower()} and declared as {now.lower()}"
            hint = "declare it as it was, or give the new one another name"
            raise ProjectError(what, f"entities.{kind.name}.properties", hint)


def _told(kind: EntityType) -> str:
    """Judge rows that tell since when they are known: one key, two times, one content."""
    keys = ", ".join(map(quoted, kind.definition.key))
    moment = f"{keys}, valid_from, known_at"
    same = _same(kind, "h", "k")
    return f"""
        WITH timed AS (SELECT *, told AS known_at FROM held),
        h AS (
            SELECT *, first_value(n) OVER one AS first_n, first_value(digest) OVER one AS first_is
            FROM timed WINDOW one AS (PARTITION BY {moment} ORDER BY n)
        )
        SELECT h.*, CASE
            WHEN h.erased THEN 'erased'
            WHEN h.known_at > t.moment THEN 'ahead'
            WHEN k.digest IS NOT NULL AND k.digest = h.digest THEN 'known'
            WHEN k.digest IS NOT NULL THEN 'clash'
            WHEN h.n = h.first_n THEN 'new'
            WHEN h.digest = h.first_is THEN 'known'
            ELSE 'clash' END AS verdict,
            CASE WHEN k.digest IS NULL THEN h.first_n END AS other,
            EXISTS (
                SELECT 1 FROM kept AS k WHERE {same} AND k.valid_from = h.valid_from
            ) AS corrects
        FROM h CROSS JOIN import_time AS t LEFT JOIN kept AS k
        ON {same} AND k.valid_from = h.valid_from AND k.known_at = h.known_at
    """


def _made(kind: EntityType) -> str:
    """Judge rows whose known time is made: what is kept is known, what differs is learnt now.

    A row that holds from now on is compared with what holds now, any other with what is kept for
    its moment.
    """
    keys = ", ".join(map(quoted, kind.definition.key))
    same = _same(kind, "h", "k")
    return f"""
        WITH h AS (
            SELECT *, first_value(n) OVER one AS first_n, first_value(digest) OVER one AS first_is
            FROM held WINDOW one AS (PARTITION BY {keys}, valid_from ORDER BY n)
        ),
        latest AS (
            SELECT h.n, arg_max(k.digest, (k.valid_from, k.known_at, k."offset")) AS digest,
                max(k.known_at) FILTER (k.valid_from = h.valid_from) AS known_at
            FROM h JOIN kept AS k ON {same}
            AND (k.valid_from = h.valid_from OR (h.from_now AND k.valid_from < h.valid_from))
            GROUP BY h.n
        )
        SELECT h.*, greatest(
                CASE
                    WHEN l.known_at IS NULL THEN least(coalesce(h.told, t.moment), t.moment)
                    ELSE t.moment END,
                l.known_at + to_microseconds(1)
            ) AS known_at,
            CASE
                WHEN h.erased THEN 'erased'
                WHEN h.n <> h.first_n AND h.digest <> h.first_is THEN 'clash'
                WHEN h.n <> h.first_n OR h.digest = l.digest THEN 'known'
                ELSE 'new' END AS verdict,
            h.first_n AS other, l.known_at IS NOT NULL AS corrects
        FROM h CROSS JOIN import_time AS t
        LEFT JOIN latest AS l ON l.n = h.n
    """


_JUDGE = {"told": _told, "made": _made}


def _same(kind: EntityType, one: str, other: str) -> str:
    return " AND ".join(
        f"{one}.{quoted(key)} = {other}.{quoted(key)}" for key in kind.definition.key
    )


def _new_sql(kind: EntityType, stores: Stores, now: datetime) -> str:
    """Return what is new as the table has it.

    Knowledge is ordered by the log's offsets: a row is behind all that was in the log by then, so
    that what was served before is never explained by it.
    """
    keys = ", ".join(map(quoted, kind.definition.key))
    snapshot = stores.ledger.latest_snapshot()
    offset = stores.inbox.last_offset()
    if snapshot is not None:
        offset = max(offset, snapshot.inbox_offset)
    listed = ", ".join([*(quoted(c.name) for c in kind.columns), *map(quoted, kind.leaves)])
    return (
        f"SELECT valid_from, known_at, {_instant(now)} AS received,"
        f' {offset + 1}::BIGINT AS "offset",'
        f" digest, {listed}, {text(now.strftime('%Y-%m'))} AS {PARTITION}"
        f" FROM judged WHERE verdict = 'new' ORDER BY {keys}, valid_from, known_at"
    )


def _instant(at: datetime) -> str:
    return f"TIMESTAMPTZ {text(at.isoformat())}"
