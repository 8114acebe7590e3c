"""Features as of many times, against SQL that an expert writes by hand for the same values.

    .venv/bin/python -m benchmarks features [--quick]

50 windowed features (count, sum, mean, largest and days since the last, in ten windows from a day
to two years) of orders, for many rows of customers and times. Orders lie in Parquet files; each
method reads them, and gives the same exact numbers as Arrow: sums in minor units times millionths
of weight. By hand it is a hash join of the rows with their customer's orders, and filtered
aggregates: of the ways that were tried the fastest by far.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from liftwerk.definitions.typed import Duration
from liftwerk.events.definition import EventDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.features.compile import compile_features
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.kinds.aggregate import DAY

STATES = 60
"""Columns of an answer: a mean has two."""

DAYS = (1, 3, 7, 14, 30, 60, 90, 180, 365, 730)
EVENTS, ROWS, CUSTOMERS = 50_000_000, 1_000_000, 1_000_000
QUICK = 10
"""How many times less in a quick run."""

LONGEST = 1.2
MEMORY_GB = 6
SPAN = 3 * 365 * DAY
"""Over which orders are spread."""


def run(quick: bool) -> dict[str, Any]:
    """Measure, each method in a process of its own on the same files."""
    times = QUICK if quick else 1
    events, rows, customers = EVENTS // times, ROWS // times, CUSTOMERS // times
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder), events, rows, customers)
        found = {name: [_measure(name, folder) for _ in range(3)] for name in METHODS}
    figures: dict[str, Any] = {"events": events, "rows": rows, "customers": customers}
    for name, runs in found.items():
        best = min(runs, key=lambda one: float(one["seconds"]))
        figures[name] = best
    checks = {one["check"] for runs in found.values() for one in runs}
    ratio = figures["compiled"]["seconds"] / figures["join_by_hand"]["seconds"]
    memory = figures["compiled"]["peak_gb"]
    return {
        "figures": figures,
        "bars": [
            _bar("different answers", len(checks) - 1, "== 0", len(checks) == 1),
            _bar("times the best SQL by hand", round(ratio, 3), "<= 1.2", ratio <= LONGEST),
            _bar("memory, GB", memory, "<= 6", memory <= MEMORY_GB),
            _bar("seconds", figures["compiled"]["seconds"], "<= 600",
                 figures["compiled"]["seconds"] <= 600),
        ],
        "versions": {"duckdb": duckdb.__version__},
    }  # fmt: skip


def _bar(bar: str, value: float, goal: str, holds: bool) -> dict[str, Any]:
    return {"bar": bar, "value": value, "goal": goal, "holds": holds}


def _make(folder: Path, events: int, rows: int, customers: int) -> None:
    """Write orders and questions; everything follows from hashes of a number."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"""
        COPY (
          SELECT md5((hash(i) % {customers})::VARCHAR)::BLOB[1:16] AS customer,
            make_timestamptz((hash(i, 1) % {SPAN})::BIGINT) AS time,
            make_timestamptz((hash(i, 1) % {SPAN})::BIGINT + 60000000) AS known_at,
            i AS "offset", 1.0::DOUBLE AS weight, FALSE AS synthetic,
            (100 + hash(i, 2) % 20000)::BIGINT AS revenue, 'EUR' AS revenue_currency
          FROM range({events}) AS t(i)
        ) TO '{folder}/orders.parquet' (ROW_GROUP_SIZE 100000)
        """.replace("::BLOB[1:16]", "[1:16]::BLOB")
    )
    connection.execute(
        f"""
        COPY (
          SELECT i AS _row, md5((hash(i, 3) % {customers})::VARCHAR)[1:16]::BLOB AS e0,
            ({SPAN} // 2 + hash(i, 4) % ({SPAN} // 2))::BIGINT AS as_of
          FROM range({rows}) AS t(i)
        ) TO '{folder}/spine.parquet'
        """
    )


def _measure(name: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.features", name, folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _answer(name: str, folder: str) -> dict[str, Any]:
    """Run one method here, and say what it took and what it gave."""
    sql = METHODS[name]()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    connection.execute(f"CREATE VIEW orders AS FROM '{folder}/orders.parquet'")
    connection.execute(f"CREATE VIEW _spine AS FROM '{folder}/spine.parquet'")
    began = time.perf_counter()
    table: pa.Table = connection.sql(sql).to_arrow_table()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    connection.register("answer", table.rename_columns([f"c{n}" for n in range(table.num_columns)]))
    sums = ", ".join(f"coalesce(sum(c{n}::HUGEINT * (c0 % 1009)), 0)" for n in range(1, STATES + 1))
    (row,) = connection.sql(f"SELECT {sums} FROM answer").fetchall()
    return {
        "seconds": round(seconds, 2),
        "peak_gb": round(peak, 2),
        "check": str(hash(tuple(map(int, row)))),
    }


def _compiled() -> str:
    features = {}
    for aggregate, property_ in (
        ("count", None),
        ("sum", "revenue"),
        ("mean", "revenue"),
        ("max", "revenue"),
        ("time_since", None),
    ):
        for days in DAYS:
            features[f"{aggregate}_{days}"] = FeatureDefinition(
                entity="customer",
                from_="orders",
                aggregate=aggregate,  # type: ignore[arg-type]
                property=property_,
                window=Duration(f"{days}d"),
            )
    orders = EventDefinition(1, "", properties={"revenue": PropertyDefinition("money")})
    (plan,) = compile_features(features, {"orders": orders}, "EUR")
    return plan.sql()


def _joined() -> str:
    """Write what an expert would: one hash join, and filtered aggregates over it."""
    heads = ", ".join(
        f"(as_of - {days * DAY}) - (as_of - {days * DAY}) % {DAY} AS h{days}" for days in DAYS
    )
    columns = []
    for made in (
        "sum(weight)",
        "sum(amount)",
        "sum(amount) {0}, sum(weight)",
        "max(revenue)",
        "max(time)",
    ):
        for days in DAYS:
            kept = f"FILTER (WHERE time >= h{days})"
            columns.append(made.replace("{0}", kept) + f" {kept}")
    return f"""
        WITH asked AS (SELECT _row, e0, as_of, {heads} FROM _spine),
        told AS (
          SELECT customer, epoch_us(time) AS time, epoch_us(known_at) AS known_at, revenue,
            (weight * 1000000)::BIGINT AS weight,
            revenue * (weight * 1000000)::BIGINT AS amount
          FROM orders WHERE NOT synthetic
        ),
        answers AS (
          SELECT _row, {", ".join(columns)}
          FROM asked JOIN told ON customer = e0 AND time < as_of AND known_at <= as_of
            AND time >= h730
          GROUP BY _row
        )
        SELECT asked._row, answers.* EXCLUDE (_row)
        FROM asked LEFT JOIN answers ON answers._row = asked._row ORDER BY asked._row
    """


METHODS: dict[str, Callable[[], str]] = {"compiled": _compiled, "join_by_hand": _joined}


if __name__ == "__main__":
    print(json.dumps(_answer(sys.argv[1], sys.argv[2])))
