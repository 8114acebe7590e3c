"""Holds what the tables say against what was sent and acknowledged.

The Parquet files are read here by Delta's own library, without a line of ours; then everything that
is derived (reads for a purpose, customers, features, metrics) is held against rules that are
written here once more, in another way than in the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from numpy.typing import NDArray

from liftwerk.definitions import Project, load
from liftwerk.features.as_of import training_set
from liftwerk.identity import relations
from liftwerk.metrics.count import per_decision
from liftwerk.privacy.permitted import NOW
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.system.numbered.client import visitors_of
from tests.system.numbered.events import (
    BEGIN,
    CHANGES,
    CHUNK,
    CONSENTS,
    DAY,
    DAYS,
    LIVE,
    NAMES,
    Kind,
    draw,
    is_shop,
    steps,
)

PURPOSES = ("analytics", "ads", "profiling", "accounting")
CHANGED = BEGIN + 200 * DAY
"""When changes over HTTP happened, for the rules: behind all events but the live ones."""

LATEST = BEGIN + 300 * DAY
"""When the live ones happened."""

SAMPLE = 500
"""Customers whose features and metrics are looked at."""

COPIES = ("page_viewed", "order_completed")


class Truth:
    """What was sent, as relations of a DuckDB connection.

    Parameters
    ----------
    seed, chunks, persons : int
        As the client was told.
    begun : int
        How many chunks it began.
    acknowledged : (n,) bool
    told_apart : sequence of int
        Visitors that a person told apart from their customer.
    """

    def __init__(
        self,
        seed: int,
        chunks: int,
        persons: int,
        begun: int,
        acknowledged: NDArray[np.bool_],
        told_apart: Sequence[int],
    ) -> None:
        visitors = visitors_of(chunks)
        self.db = duckdb.connect()
        self.db.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        live = range(LIVE, LIVE + -(-persons // CHUNK))
        parts = [*range(begun), *live]
        sent = _sent(seed, parts, visitors)
        first_live = chunks * CHUNK
        known = np.concatenate([acknowledged[: begun * CHUNK], acknowledged[first_live:]])
        sent = sent.append_column("acknowledged", pa.array(known))
        self.db.register("drawn", sent)
        everybody = visitors + len(live) * CHUNK
        self.db.register("leaves_v", _leaves("visitor", "v", everybody))
        self.db.register("leaves_c", _leaves("customer", "c", everybody // 3 + 1))
        self.db.execute("CREATE TABLE v AS FROM leaves_v; CREATE TABLE c AS FROM leaves_c")
        apart = pa.table({"visitor": pa.array(told_apart, pa.int32())})
        self.db.register("told_apart", apart)
        self.db.register("over_http", _over_http(seed, persons, visitors))
        self.db.execute(_SENT)
        self.db.execute(_WHOSE)
        self.db.execute(_STATEMENTS)
        for purpose in PURPOSES:
            self.db.execute(_permitted(purpose))

    def one(self, sql: str) -> int:
        """Return the single number that a query asks for."""
        rows = self.db.execute(sql).fetchall()
        return int(rows[0][0] or 0)


def _sent(seed: int, parts: Sequence[int], visitors: int) -> pa.Table:
    drawn = [draw(seed, chunk, visitors) for chunk in parts]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(rows, name) for rows in drawn])
        for name in (
            "kind",
            "visitor",
            "customer",
            "second",
            "consent",
            "agreed",
            "order",
            "change",
        )
    }
    live = np.repeat([chunk >= LIVE for chunk in parts], CHUNK)
    columns["second"][live] = LATEST
    columns["shop"] = np.repeat([is_shop(chunk) for chunk in parts], CHUNK)
    columns["live"] = live
    ids = b"".join(rows.kept_id.tobytes() for rows in drawn)
    buffer = pa.py_buffer(ids)
    kept = pa.Array.from_buffers(pa.binary(16), len(live), [None, buffer]).cast(pa.binary())
    return pa.table({"id": kept, **columns})


def _leaves(namespace: str, letter: str, count: int) -> pa.Table:
    keys = [
        hashlib.sha256(f"{namespace}\0{letter}{number}".encode()).digest()[:16]
        for number in range(count)
    ]
    numbers = pa.array(range(count), pa.int32())
    return pa.table({"number": numbers, "leaf": pa.array(keys, pa.binary())})


def _over_http(seed: int, persons: int, visitors: int) -> pa.Table:
    found = [
        (visitors + person, CHANGED + place, change)
        for person in range(persons)
        for place, change in enumerate(steps(seed, person))
    ]
    names = ("visitor", "second", "change")
    columns = zip(names, zip(*found, strict=True), strict=True)
    return pa.table({name: list(values) for name, values in columns})


_SENT = """
    CREATE TABLE sent AS
    SELECT d.* REPLACE (nullif(customer, -1) AS customer, nullif(agreed, 0) AS agreed,
        nullif("order", -1) AS "order"),
      v.leaf AS leaf_v, c.leaf AS leaf_c
    FROM drawn AS d JOIN v ON v.number = d.visitor LEFT JOIN c ON c.number = d.customer
"""

_WHOSE = f"""
    CREATE TABLE apart AS
    SELECT DISTINCT visitor FROM sent WHERE kind = {Kind.UNLINK:d}
    UNION SELECT visitor FROM told_apart;
    CREATE TABLE linked AS
    SELECT DISTINCT visitor, customer FROM sent
    WHERE shop AND customer IS NOT NULL AND kind <> {Kind.UNLINK:d}
      AND visitor NOT IN (FROM apart);
    CREATE TABLE groups AS
    SELECT v.number AS visitor, coalesce(c.leaf, v.leaf) AS group_v
    FROM v LEFT JOIN linked ON linked.visitor = v.number LEFT JOIN c ON c.number = linked.customer;
    CREATE TABLE whose AS
    SELECT sent.id, coalesce(sent.leaf_c, c.leaf, sent.leaf_v) AS customer
    FROM sent LEFT JOIN linked USING (visitor) LEFT JOIN c ON c.number = linked.customer
"""
"""A row is its customer's; without one, of the customer whom its visitor is linked with. A
visitor that was told apart is linked with nobody, and a browser's word links nobody."""

_CHANGES = " UNION ALL ".join(
    f"SELECT {number} AS change, '{purpose}' AS purpose, {word} AS granted"
    for number, lists in enumerate(CHANGES)
    for word, purposes in zip(("TRUE", "FALSE"), lists, strict=True)
    for purpose in purposes
)

_STATEMENTS = f"""
    CREATE TABLE statements AS
    WITH said AS (
      SELECT group_v AS leaf, second, change FROM sent JOIN groups USING (visitor)
      WHERE kind = {Kind.CONSENT:d}
      UNION ALL
      SELECT leaf_c, second, change FROM sent
      WHERE kind = {Kind.CONSENT:d} AND leaf_c IS NOT NULL
      UNION ALL
      SELECT group_v, second, change FROM over_http JOIN groups USING (visitor)
    )
    SELECT DISTINCT leaf, second, purpose, granted FROM said JOIN ({_CHANGES}) USING (change);
    CREATE TABLE asked AS SELECT sent.*, group_v FROM sent JOIN groups USING (visitor)
"""
"""What was said of one identifier is said of the customer that it is linked with."""


def _permitted(purpose: str) -> str:
    """Write which rows may be read, by the last word before each of them and the last of all."""
    carried = " OR ".join(
        f"consent = {code}" for code, granted in enumerate(CONSENTS) if purpose in (granted or ())
    )
    if purpose == "accounting":
        return "CREATE TABLE may_accounting AS SELECT id FROM sent"
    rests = {"analytics": True, "ads": True, "profiling": False}[purpose]
    agreed = "TRUE"
    if rests:
        agreed = "(agreed IS NULL OR agreed <= w.second)"
    wanted = carried or "TRUE"
    words = {
        word: f"(SELECT leaf, second FROM statements WHERE purpose = '{purpose}' AND {is_granted})"
        for word, is_granted in (("grant", "granted"), ("withdrawal", "NOT granted"))
    }
    blocked = []
    for leaf in ("group_v", "leaf_c"):
        blocked.append(
            f"SELECT s.id FROM asked AS s"
            f" ASOF JOIN {words['withdrawal']} AS w ON w.leaf = s.{leaf} AND s.second >= w.second"
            f" ASOF LEFT JOIN {words['grant']} AS g ON g.leaf = s.{leaf} AND s.second >= g.second"
            f" WHERE {agreed} AND (g.second IS NULL OR g.second <= w.second)"
        )
        if purpose == "ads":  # reaches what was before it, and no grant lifts that
            blocked.append(
                f"SELECT s.id FROM asked AS s JOIN (SELECT leaf, max(second) AS second"
                f" FROM {words['withdrawal']} GROUP BY leaf) AS w"
                f" ON w.leaf = s.{leaf} WHERE w.second > s.second"
            )
    return (
        f"CREATE TABLE may_{purpose} AS SELECT id FROM sent WHERE ({wanted})"
        f" AND id NOT IN ({' UNION '.join(blocked)})"
    )


# ------------------------------------------------------------------------------- comparisons


def check(project_path: Path, truth: Truth) -> dict[str, Any]:
    """Hold a home, whose inbox was sorted into tables, against the truth.

    Parameters
    ----------
    project_path : Path
    truth : Truth

    Returns
    -------
    dict of str to int
        Counts that must be 0, but for ``rows`` and ``read``.
    """
    project = load(project_path, SECTIONS)
    found: dict[str, Any] = {}
    with open_stores(Home.of(project)) as stores:
        found["damaged files"] = len(stores.damage())
        found["left in the inbox"] = stores.inbox.count()
        found["in quarantine"] = sum(stores.inbox.quarantine_count().values())
        found |= _files(truth, stores.home.tables)
        found["read"] = {}
        for purpose in PURPOSES:
            read, wrong = _reads(truth, project, stores, purpose)
            found["read"][purpose] = read
            for key, count in wrong.items():
                found[key] = found.get(key, 0) + count
        for purpose in PURPOSES[:3]:
            for key, count in _derived(truth, project, stores, purpose).items():
                found[key] = found.get(key, 0) + count
    return found


def _files(truth: Truth, tables: Path) -> dict[str, int]:
    """Look into the Parquet files themselves."""
    selects = []
    for place, name in enumerate(NAMES):
        files = DeltaTable(str(tables / f"{name}_v1")).file_uris()
        listed = ", ".join(f"'{file}'" for file in files)
        selects.append(
            f"SELECT id, {place} AS kind, leaf_visitor, leaf_customer, time, consent_granted,"
            f" consent_at FROM read_parquet([{listed}], union_by_name = true)"
        )
    truth.db.execute(f"CREATE OR REPLACE TABLE kept AS {' UNION ALL '.join(selects)}")
    copies = f"({', '.join(str(NAMES.index(name)) for name in COPIES)})"
    said = " ".join(
        f"WHEN {code} THEN {'NULL' if one is None else list(one)}::VARCHAR[]"
        for code, one in enumerate(CONSENTS)
    )
    return {
        "rows": truth.one("SELECT count(*) FROM kept"),
        "acknowledged and lost": truth.one(
            "SELECT count(*) FROM sent ANTI JOIN kept USING (id) WHERE acknowledged"
        ),
        "doubled": truth.one(
            "SELECT sum(n - 1) FROM (SELECT count(*) AS n FROM kept GROUP BY id HAVING n > 1)"
        ),
        "never sent": truth.one(
            f"SELECT count(*) FROM kept ANTI JOIN sent USING (id) WHERE kind IN {copies}"
        ),
        "other than sent": truth.one(
            f"""
            SELECT count(*) FROM kept JOIN sent USING (id)
            WHERE kept.kind <> sent.kind OR leaf_visitor IS DISTINCT FROM leaf_v
              OR leaf_customer IS DISTINCT FROM leaf_c
              OR (NOT live AND epoch(time)::BIGINT <> second)
              OR epoch(consent_at)::BIGINT IS DISTINCT FROM agreed
              OR consent_granted IS DISTINCT FROM CASE consent {said} END
            """
        ),
    }


def _reads(
    truth: Truth, project: Project, stores: Stores, purpose: str
) -> tuple[int, dict[str, int]]:
    """Read every event for a purpose, as everything does that is derived."""
    with relations(project, stores, purpose, NOW, NAMES[:2]) as connection:
        views = connection.sql("SELECT id, customer FROM page_viewed").to_arrow_table()
        orders = connection.sql(
            "SELECT id, customer, order_id FROM order_completed"
        ).to_arrow_table()
    truth.db.register("views", views)
    truth.db.register("orders", orders)
    may = f"may_{purpose}"
    read = "(SELECT id, customer FROM views UNION ALL SELECT id, customer FROM orders)"
    permitted_orders = (
        f'SELECT DISTINCT "order" FROM sent SEMI JOIN {may} USING (id) WHERE kind = {Kind.ORDER:d}'
    )
    wrong = {
        "readable without consent": truth.one(
            f"SELECT count(*) FROM {read} ANTI JOIN {may} USING (id)"
        ),
        "permitted and not readable": truth.one(
            f"SELECT count(*) FROM sent SEMI JOIN {may} USING (id) ANTI JOIN views USING (id)"
            f" WHERE kind = {Kind.VIEW:d}"
        )
        + truth.one(
            f"SELECT count(*) FROM ({permitted_orders}) WHERE 'o' || \"order\" NOT IN"
            " (SELECT order_id FROM orders)"
        ),
        "conversions doubled": truth.one("SELECT count(*) - count(DISTINCT order_id) FROM orders"),
        "of another customer": truth.one(
            f"SELECT count(*) FROM {read} AS r JOIN whose USING (id)"
            " WHERE r.customer <> whose.customer"
        ),
    }
    return views.num_rows + orders.num_rows, wrong


def _derived(truth: Truth, project: Project, stores: Stores, purpose: str) -> dict[str, int]:
    """Make features and metrics of some customers, and count them anew from what was sent."""
    sample = truth.db.sql(
        f"""
        SELECT customer FROM (SELECT DISTINCT customer FROM whose)
        ORDER BY hash(customer) LIMIT {SAMPLE}
        """
    ).to_arrow_table()
    latest = datetime.now(UTC) + timedelta(hours=1)
    instant = pa.timestamp("us", "UTC")
    keys = sample.column("customer")
    spine = pa.table({"customer": keys, "time": pa.array([latest] * len(keys), instant)})
    features = training_set(project, stores, spine, ["views", "orders"], purpose)
    early = datetime.fromtimestamp(BEGIN - DAY, UTC)
    decisions = pa.table(
        {
            "decision": pa.array([bytes(8) + n.to_bytes(8, "big") for n in range(len(keys))]),
            "customer": keys,
            "time": pa.array([early] * len(keys), instant),
            "action": ["nothing"] * len(keys),
        }
    )
    counted = per_decision(
        project, stores, decisions, ["views_of_a_season", "orders_of_a_season"], purpose, now=latest
    )
    truth.db.register("features", features)
    truth.db.register("counted", counted)
    may = f"sent SEMI JOIN may_{purpose} USING (id) JOIN whose USING (id)"
    wrong_features = f"""
        WITH counts AS (
          SELECT whose.customer, count(*) FILTER (kind = {Kind.VIEW:d}) AS views,
            count(DISTINCT "order") AS orders
          FROM {may} GROUP BY whose.customer
        )
        SELECT count(*) FROM features AS f LEFT JOIN counts AS n USING (customer)
        WHERE f.views <> coalesce(n.views, 0) OR f.orders <> coalesce(n.orders, 0)
    """
    last = BEGIN + DAYS * DAY
    wrong_metrics = f"""
        WITH counts AS (
          SELECT whose.customer, count(*) FILTER (kind = {Kind.VIEW:d}) AS views,
            count(DISTINCT "order") AS orders
          FROM {may} WHERE shop AND second < {last} GROUP BY whose.customer
        )
        SELECT count(*) FROM counted AS f LEFT JOIN counts AS n USING (customer)
        WHERE f.views_of_a_season <> coalesce(n.views, 0)
          OR f.orders_of_a_season <> coalesce(n.orders, 0)
    """
    return {
        "features that differ": truth.one(wrong_features),
        "metrics that differ": truth.one(wrong_metrics),
    }
