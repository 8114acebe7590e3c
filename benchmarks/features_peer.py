"""Ready values as of many times, beside Feast: the part of the job that Feast does.

Feast knows no windows: what it joins was made before. The same values are an event to us, and a
feature is the ``last`` of each within 90 days. Both read the same Parquet files; the floor is
DuckDB's own ASOF join of them. Values are at half seconds and questions at whole ones, so that
both mean the same.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.features_join import bar
from liftwerk.definitions.typed import Duration
from liftwerk.events.definition import EventDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.features.compile import compile_features
from liftwerk.features.definition import FeatureDefinition

ROOT = Path(__file__).parents[1]
FEAST = "feast[duckdb]==0.67.0"
FEATURES = 10
CUSTOMERS = 100_000
ROWS = 1_000_000
SIZES = (10, 100)
"""Ready values a customer."""

QUICK = 10
DAYS = 365
TTL = 90
MOST_SECONDS = 240
"""What takes longer did not manage."""


def run(quick: bool) -> dict[str, Any]:
    """Measure both on the same files, each in a process of its own."""
    times = QUICK if quick else 1
    figures: dict[str, Any] = {"customers": CUSTOMERS // times, "rows": ROWS // times}
    different, ratio, versions = 0, 0.0, {}
    for each in SIZES:
        with tempfile.TemporaryDirectory(prefix="liftwerk-features.") as name:
            folder = Path(name)
            _make(folder, CUSTOMERS // times, each, ROWS // times)
            found = {method: _best(method, folder) for method in ("liftwerk", "floor", "feast")}
            figures[f"{CUSTOMERS // times * each} ready values"] = found
            if "seconds" not in found["feast"]:
                break  # Feast did not manage that much
            versions["feast"] = found["feast"].pop("feast")
            ratio = found["feast"]["seconds"] / found["liftwerk"]["seconds"]
            found["feast's time over ours"] = round(ratio, 2)
            different += _different(folder, "liftwerk", "feast")
            different += _different(folder, "liftwerk", "floor")
    return {
        "figures": figures,
        "bars": [
            bar("peer: different answers", different, "== 0", different == 0),
            bar(
                "peer: Feast's time over ours, at the largest size that it manages",
                round(ratio, 2),
                ">= 1",
                ratio >= 1,
            ),
        ],
        "versions": versions,
    }


def _make(folder: Path, customers: int, each: int, rows: int) -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    apart = DAYS * 86_400 // each
    values = ", ".join(
        f"(hash(i, {place}) % 1000000)::DOUBLE / 1000 AS v{place}" for place in range(FEATURES)
    )
    connection.execute(
        f"""
        COPY (
          SELECT md5((i % {customers})::VARCHAR) AS customer,
            make_timestamptz(((i // {customers} * {apart} + hash(i) % {apart}) * 1000000
              + 500000)::BIGINT) AS time, i AS "offset", {values}
          FROM range({customers * each}) AS t(i)
        ) TO '{folder}/ready.parquet'
        """
    )
    connection.execute(
        f"""
        COPY (
          SELECT i AS "row", md5((hash(i, 77) % {customers})::VARCHAR) AS customer,
            make_timestamptz(({DAYS} * 43200 + hash(i, 78) % ({DAYS} * 43200))::BIGINT * 1000000)
              AS event_timestamp
          FROM range({rows}) AS t(i)
        ) TO '{folder}/spine.parquet'
        """
    )


def _best(method: str, folder: Path) -> dict[str, Any]:
    runs = [_run(method, folder) for _ in range(2)]
    done = [one for one in runs if "seconds" in one]
    if len(done) < len(runs):
        return runs[-1]
    return min(done, key=lambda one: float(one["seconds"]))


def _run(method: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.features_peer", method, str(folder)]
    environment = dict(os.environ)
    if method == "feast":
        uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
        command = [uv, "run", "--no-project", "--isolated", "--quiet", "--python", sys.executable]
        script = str(ROOT / "benchmarks" / "features_feast.py")
        command += ["--with", FEAST, "python", script, str(folder), str(FEATURES)]
        environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"did not manage": f"not within {MOST_SECONDS} s"}
    except subprocess.CalledProcessError as error:
        if method != "feast":
            raise RuntimeError(error.stderr) from error
        return {"did not manage": (error.stderr.strip() or str(error)).splitlines()[-1]}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _different(folder: Path, one: str, other: str) -> int:
    """Count the rows of which two have not the same values."""
    names = ", ".join(["row", *(f"v{place}" for place in range(FEATURES))])
    left, right = (f"SELECT {names} FROM '{folder}/{each}.parquet'" for each in (one, other))
    ((count,),) = (
        duckdb.connect()
        .sql(
            f"SELECT count(DISTINCT row) FROM"
            f" (({left} EXCEPT ALL {right}) UNION ALL ({right} EXCEPT ALL {left}))"
        )
        .fetchall()
    )
    return int(count)


def _liftwerk() -> str:
    features = {
        f"v{place}": FeatureDefinition(
            entity="customer",
            from_="ready",
            aggregate="last",
            property=f"v{place}",
            window=Duration(f"{TTL}d"),
            hop=Duration("1s"),
        )
        for place in range(FEATURES)
    }
    ready = EventDefinition(
        1, "", properties={name: PropertyDefinition("number") for name in features}
    )
    (plan,) = compile_features(features, {"ready": ready}, "EUR")
    columns = ", ".join(f"{value.columns['value']} AS {value.name}" for value in plan.values)
    return f"SELECT _row AS row, {columns} FROM ({plan.sql()})"


def _floor() -> str:
    names = ", ".join(f"CASE WHEN as_of - t <= {TTL} * 86400000000 THEN v{place} END AS v{place}"
                      for place in range(FEATURES))  # fmt: skip
    return f"""
        SELECT row, {names}
        FROM (SELECT _row AS row, e0, as_of FROM _spine) AS s
        ASOF LEFT JOIN (SELECT *, epoch_us(time) AS t FROM ready) AS r
        ON r.customer = s.e0 AND s.as_of > r.t
    """


def _answer(method: str, folder: str) -> dict[str, Any]:
    sql = {"liftwerk": _liftwerk, "floor": _floor}[method]()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    connection.execute(
        f"CREATE VIEW ready AS SELECT customer::BLOB AS customer, time, time AS known_at,"
        f' "offset", 1.0::DOUBLE AS weight, FALSE AS synthetic,'
        f' * EXCLUDE (customer, time, "offset")'
        f" FROM '{folder}/ready.parquet'"
    )
    connection.execute(
        f"CREATE VIEW _spine AS SELECT row AS _row, customer::BLOB AS e0,"
        f" epoch_us(event_timestamp) AS as_of FROM '{folder}/spine.parquet'"
    )
    began = time.perf_counter()
    table = connection.sql(sql).to_arrow_table()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    connection.register("answer", table)
    connection.execute(f"COPY answer TO '{folder}/{method}.parquet'")
    return {"seconds": round(seconds, 2), "peak_gb": round(peak, 2)}


if __name__ == "__main__":
    print(json.dumps(_answer(sys.argv[1], sys.argv[2])))
