"""Features as of many times, against SQL that an expert writes by hand for the same values.

50 windowed features (count, sum, mean, largest and days since the last, in ten windows from a day
to two years) of orders, for many rows of customers and times. Orders lie in Parquet files; each
method reads them, and gives the same exact numbers as Arrow: sums in minor units times millionths
of weight. `benchmarks.features_sql` writes the ways by hand; all are held against each other at a
size that each can do, and the best of them at full size. Shops of 5 to 100 million events have
equally many events a customer and a row: what an event costs should not depend on the size.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.features_sql import DAYS, METHODS, STATES
from liftwerk.features.kinds.aggregate import DAY

assert len(DAYS) * 5 == 50

SHARD = 5_000_000
"""Events of one file, with customers and questions of its own."""

EVENTS_A_ROW = EVENTS_A_CUSTOMER = 50
SHARDS = 10
"""As many as make the measured training set: 50 million events."""

CURVE = (1, 2, 5, 10, 20)
QUICK = 10
"""How many times less in a quick run."""

LONGEST = 1.2
FLAT = 1.25
MEMORY_GB = 6
MOST_SECONDS = 300
"""Of one measurement; whatever takes longer has failed."""

SPAN = 3 * 365 * DAY
"""Over which orders are spread."""


def run(quick: bool) -> dict[str, Any]:
    """Measure, each method in a process of its own on the same files."""
    shard = SHARD // QUICK if quick else SHARD
    with tempfile.TemporaryDirectory(prefix="liftwerk-features.") as name:
        folder = Path(name)
        for place in range(max(CURVE)):
            _make(folder, place, shard)
        small = {method: [_measure(method, folder, 1)] for method in METHODS}
        for method in ("compiled", "join_by_hand"):
            small[method].append(_measure(method, folder, 1))
        ways = {name: runs for name, runs in small.items() if name != "compiled"}
        best = min(ways, key=lambda one: _seconds(ways[one]))
        large: dict[str, list[dict[str, Any]]] = {"compiled": [], best: []}
        for _ in range(3):
            for method, runs in large.items():
                runs.append(_measure(method, folder, SHARDS))
        curve = {
            shards: min(_seconds([_measure("compiled", folder, shards)]) for _ in range(2))
            for shards in CURVE
            if shards != SHARDS
        }
    curve[SHARDS] = _seconds(large["compiled"])
    per_million = {n * shard: round(curve[n] / (n * shard) * 1e6, 4) for n in CURVE}
    middle, last = (per_million[n * shard] for n in (CURVE[2], CURVE[-1]))
    different = _different(small) + _different(large)
    ratio = _seconds(large["compiled"]) / _seconds(large[best])
    memory = max(one["peak_gb"] for one in large["compiled"])
    seconds = _seconds(large["compiled"])
    return {
        "figures": {
            "events": SHARDS * shard,
            "rows": SHARDS * shard // EVENTS_A_ROW,
            "best_by_hand": best,
            "at_full_size": large,
            "events_of_the_small_size": shard,
            "at_the_small_size": small,
            "seconds_per_million_events": per_million,
        },
        "bars": [
            bar("join: different answers", different, "== 0", different == 0),
            bar("join: times the best SQL by hand", round(ratio, 3), "<= 1.2", ratio <= LONGEST),
            bar("join: memory, GB", memory, "<= 6", memory <= MEMORY_GB),
            bar("join: seconds", seconds, "<= 600", seconds <= 600),
            bar(
                "join: an event's cost at the largest size, times that at the middle one",
                round(last / middle, 3),
                "<= 1.25",
                last / middle <= FLAT,
            ),
        ],
        "versions": {"duckdb": duckdb.__version__},
    }


def bar(name: str, value: float, goal: str, holds: bool) -> dict[str, Any]:
    """Write one bar."""
    return {"bar": name, "value": value, "goal": goal, "holds": bool(holds)}


def _seconds(runs: list[dict[str, Any]]) -> float:
    return min(float(one["seconds"]) for one in runs)


def _different(found: dict[str, list[dict[str, Any]]]) -> int:
    return len({one["check"] for runs in found.values() for one in runs}) - 1


def _make(folder: Path, place: int, events: int) -> None:
    """Write orders and questions; everything follows from hashes of a number."""
    customers, rows = events // EVENTS_A_CUSTOMER, events // EVENTS_A_ROW
    first, first_row = place * events, place * rows
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    connection.execute(
        f"""
        COPY (
          SELECT md5(({place} * {customers} + hash(i) % {customers})::VARCHAR)[1:16]::BLOB
              AS customer,
            make_timestamptz((hash(i, 1) % {SPAN})::BIGINT) AS time,
            make_timestamptz((hash(i, 1) % {SPAN})::BIGINT + 60000000) AS known_at,
            i AS "offset", 1.0::DOUBLE AS weight, FALSE AS synthetic,
            (100 + hash(i, 2) % 20000)::BIGINT AS revenue, 'EUR' AS revenue_currency
          FROM range({first}, {first + events}) AS t(i)
        ) TO '{folder}/orders-{place:02}.parquet' (ROW_GROUP_SIZE 100000)
        """
    )
    connection.execute(
        f"""
        COPY (
          SELECT i AS _row,
            md5(({place} * {customers} + hash(i, 3) % {customers})::VARCHAR)[1:16]::BLOB AS e0,
            ({SPAN} // 2 + hash(i, 4) % ({SPAN} // 2))::BIGINT AS as_of
          FROM range({first_row}, {first_row + rows}) AS t(i)
        ) TO '{folder}/spine-{place:02}.parquet'
        """
    )


def _measure(method: str, folder: Path, shards: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.features_join", method, str(folder), str(shards)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=MOST_SECONDS)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _answer(method: str, folder: str, shards: int) -> dict[str, Any]:
    """Run one method here, and say what it took and what it gave."""
    sql = METHODS[method]()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    for view, files in (("orders", "orders"), ("_spine", "spine")):
        paths = [f"{folder}/{files}-{place:02}.parquet" for place in range(shards)]
        connection.execute(f"CREATE VIEW {view} AS FROM read_parquet({paths})")
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


if __name__ == "__main__":
    print(json.dumps(_answer(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
