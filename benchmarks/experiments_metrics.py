"""Metrics to sufficient statistics: 20 metrics of three arms, from a log of many events.

The log is written as the sequencer leaves it, batch by batch: so many rows cannot be collected in
an afternoon. What is measured reads it as everything else does, through identity, consent and the
snapshot.

- ``cold``: from events to moments by arm and day of assignment;
- ``day``: the same after a day with new events of some of the customers;
- ``wide``: the moments of a ready table of 40 columns.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project, build
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.schema import schema_of
from liftwerk.metrics.follow import follow
from liftwerk.metrics.wide import moments_of_file
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores, open_stores

CUSTOMERS, EVENTS, DAY_EVENTS = 10_000_000, 100_000_000, 300_000
QUICK = 50
"""By how much less there is of everything."""

ARMS = ("control", "voucher", "advice")
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)
CHUNK = 2_500_000
WIDE = 40
MEMORY_GB = 4
SHARES = {"visited": 0.7, "order_completed": 0.2, "returned": 0.06, "asked_for_help": 0.04}

_MONEY = {"type": "money", "minimum": "0"}
EVENTS_DECLARED: dict[str, Any] = {
    "visited": {"version": 1, "description": "", "properties": {"pages": {"type": "integer"}}},
    "order_completed": {
        "version": 1,
        "description": "",
        "properties": {"revenue": _MONEY, "cost": _MONEY, "articles": {"type": "integer"}},
    },
    "returned": {"version": 1, "description": "", "properties": {"refund": _MONEY}},
    "asked_for_help": {"version": 1, "description": ""},
}
ORDERS = {"description": "", "from": "order_completed", "within": "28d"}
VISITS = {"description": "", "from": "visited", "within": "28d"}
RETURNS = {"description": "", "from": "returned", "within": "28d"}
METRICS: dict[str, Any] = {
    "revenue": {**ORDERS, "aggregate": "sum", "property": "revenue"},
    "revenue_7d": {**ORDERS, "aggregate": "sum", "property": "revenue", "within": "7d"},
    "margin": {**ORDERS, "aggregate": "sum", "value": "revenue - cost"},
    "articles": {**ORDERS, "aggregate": "sum", "property": "articles"},
    "orders": {**ORDERS, "aggregate": "count"},
    "orders_7d": {**ORDERS, "aggregate": "count", "within": "7d"},
    "large_orders": {**ORDERS, "aggregate": "count", "where": "revenue >= 100"},
    "bought": {**ORDERS, "aggregate": "any"},
    "bought_7d": {**ORDERS, "aggregate": "any", "within": "7d"},
    "lapsed": {**ORDERS, "aggregate": "lapse"},
    "visits": {**VISITS, "aggregate": "count"},
    "visits_7d": {**VISITS, "aggregate": "count", "within": "7d"},
    "pages": {**VISITS, "aggregate": "sum", "property": "pages"},
    "came": {**VISITS, "aggregate": "any"},
    "came_1d": {**VISITS, "aggregate": "any", "within": "1d"},
    "refunds": {**RETURNS, "aggregate": "sum", "property": "refund"},
    "returns": {**RETURNS, "aggregate": "count"},
    "returned": {**RETURNS, "aggregate": "any"},
    "help": {"description": "", "from": "asked_for_help", "aggregate": "count", "within": "28d"},
    "profit": {"description": "", "formula": "margin - refunds - 3.5 * help"},
}


def run(quick: bool) -> dict[str, Any]:
    """Measure in processes of their own, so that each one's memory is its own."""
    scale = QUICK if quick else 1
    customers, events, day = CUSTOMERS // scale, EVENTS // scale, DAY_EVENTS // scale
    figures: dict[str, Any] = {"customers": customers, "events": events, "day_events": day}
    with tempfile.TemporaryDirectory(prefix="liftwerk-experiments-") as folder:
        for step in ("prepare", "cold", "more", "day", "wide_file", "wide"):
            given = [sys.executable, "-m", __name__, step, folder, str(customers)]
            given += [str(events), str(day)]
            done = subprocess.run(given, check=True, capture_output=True, text=True)
            figures[step] = msgspec.json.decode(done.stdout)
            print(f"metrics {step}: {figures[step]}", file=sys.stderr)
    # Less data takes less time in proportion; what does not is allowed what it takes at any size.
    allowed = 5.0 if quick else 0.0
    disk = figures["day"]["disk_gb"]
    bars = [
        _below("cold from events, s", figures["cold"]["seconds"], 600 / scale + allowed),
        _below("a day's increment, s", figures["day"]["seconds"], 20 / scale + allowed),
        _below("disk, GB", disk, 12 / scale + 0.1 * (scale > 1)),
        _below("memory of the cold count, GB", figures["cold"]["memory_gb"], MEMORY_GB),
        _below("memory of the increment, GB", figures["day"]["memory_gb"], MEMORY_GB),
        _below("wide table, s", figures["wide"]["seconds"], 6 / scale + allowed / 5),
        _below("memory of the wide table, GB", figures["wide"]["memory_gb"], 1.5),
    ]
    return {"figures": figures, "bars": bars}


def _below(bar: str, value: float, goal: float) -> dict[str, Any]:
    return {"bar": bar, "value": value, "goal": round(goal, 3), "holds": value <= goal}


def project_in(folder: Path) -> Project:
    """Build the project whose home lies in a folder."""
    values = {
        "project": {"name": "shop", "currency": "EUR"},
        "store": {"home": "home"},
        "purposes": {"measurement": {"basis": "legitimate_interest"}},
        "sources": {"till": {"kind": "http", "trust": "server", "key_env": "LIFTWERK_TILL_KEY"}},
        "identifiers": {"customer_id": {"normalise": "none"}},
        "events": EVENTS_DECLARED,
        "metrics": METRICS,
    }
    return build(values, SECTIONS, folder)


def _keys(customers: int) -> np.ndarray[Any, Any]:
    drawn = np.random.default_rng(1).bytes(16 * customers)
    return np.frombuffer(drawn, dtype="S16")


def _binary(keys: np.ndarray[Any, Any]) -> pa.Array:
    """Make 16 bytes each; NumPy's own strings end at a zero."""
    raw = np.ascontiguousarray(keys).view(np.uint8)
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(keys), [None, pa.py_buffer(raw.tobytes())]
    )
    return fixed.cast(pa.binary())


def _spine(customers: int) -> pa.Table:
    rng = np.random.default_rng(2)
    keys = _binary(_keys(customers))
    days = rng.integers(0, 28, customers)
    times = (int(START.timestamp()) + 86_400 * days) * 1_000_000
    arms = pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 3, customers)), list(ARMS))
    return pa.table(
        {
            "unit": keys,
            "customer": keys,
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "arm": arms.cast(pa.string()),
        }
    )


def _write(
    stores: Stores, rng: np.random.Generator, keys: Any, count: int, since: datetime, days: float
) -> None:
    """Append rows as the sequencer would, and the snapshot that names them."""
    before = stores.ledger.latest_snapshot()
    assert before is not None
    tables, offset = dict(before.tables), before.inbox_offset
    for name, share in SHARES.items():
        table = f"{name}_v1" if f"{name}_v1" in tables else name
        files = stores.tables.files(table, tables[table])
        example = pq.read_table(files[0], partitioning=None).slice(0, 1)
        left = round(count * share)
        while left:
            n = min(left, CHUNK)
            tables[table] = stores.tables.append(
                table, _rows(rng, example, keys, n, offset, since, days)
            )
            offset += n
            left -= n
    now = NOW + timedelta(microseconds=offset)
    snapshot = Snapshot(offset, tables, now, before.decisions_offset)
    with stores.ledger.change("benchmark", "events.compact", snapshot.id, {}, now) as change:
        stores.ledger.put_snapshot(change, snapshot)


def _rows(
    rng: np.random.Generator,
    example: pa.Table,
    keys: Any,
    n: int,
    offset: int,
    since: datetime,
    days: float,
) -> pa.Table:
    # The most faithful customers come more often than the others.
    who = np.sort((len(keys) * rng.random(n) ** 1.5).astype(np.int64))
    at = int(since.timestamp() * 1e6) + (rng.random(n) * days * 86_400e6).astype(np.int64)
    times = pa.array(at, pa.timestamp("us", "UTC"))
    made: dict[str, pa.Array] = {
        "id": _binary(np.frombuffer(rng.bytes(16 * n), dtype="S16")),
        "offset": pa.array(np.arange(offset + 1, offset + n + 1)),
        "leaf_customer_id": _binary(keys[who]),
        "revenue": pa.array((rng.lognormal(3.5, 1.0, n) * 100).astype(np.int64)),
        "cost": pa.array((rng.lognormal(2.5, 1.0, n) * 100).astype(np.int64)),
        "refund": pa.array((rng.lognormal(3.0, 1.0, n) * 100).astype(np.int64)),
        "articles": pa.array(rng.integers(1, 9, n)),
        "pages": pa.array(rng.integers(1, 30, n)),
    }
    made |= dict.fromkeys(("time", "known_at", "received"), times)
    columns = {}
    for field in example.schema:
        if field.name == "month":
            continue
        column = made.get(field.name)
        if column is None:
            column = pa.repeat(example.column(field.name)[0], n)
        columns[field.name] = column.cast(field.type)
    return pa.table(columns)


def _prepare(project: Project, customers: int, events: int) -> dict[str, Any]:
    schema, clock = schema_of(project), FixedClock(NOW)
    with open_stores(Home.of(project, create=True)) as stores, stores.home.hold("benchmark"):
        first = [
            {
                "id": f"00000000-0000-4000-8000-00000000000{number}",
                "name": name,
                "version": 1,
                "time": START.isoformat(),
                "identifiers": {"customer_id": "nobody"},
                "properties": properties,
            }
            for number, (name, properties) in enumerate(
                {
                    "visited": {"pages": 1},
                    "order_completed": {"revenue": "1.00", "cost": "0.50", "articles": 1},
                    "returned": {"refund": "1.00"},
                    "asked_for_help": {},
                }.items()
            )
        ]
        admitted = admit([msgspec.json.encode(one) for one in first], schema, "till", NOW)
        assert not admitted.refused, admitted
        stores.inbox.append([row for row in admitted.rows if row is not None])
        compact(project, stores, clock)
        _write(stores, np.random.default_rng(3), _keys(customers), events, START, 56.0)
    return {}


def _more(project: Project, customers: int, day: int) -> dict[str, Any]:
    with open_stores(Home.of(project)) as stores, stores.home.hold("benchmark"):
        since = START + timedelta(days=56)
        _write(stores, np.random.default_rng(4), _keys(customers), day, since, 1.0)
    return {}


def _followed(project: Project, customers: int) -> dict[str, Any]:
    spine = _spine(customers)
    with open_stores(Home.of(project)) as stores, stores.home.hold("benchmark"):
        began = time.perf_counter()
        found = follow(project, stores, "benchmark", spine, list(METRICS), "measurement")
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in stores.home.path.rglob("*") if path.is_file())
    arms = {arm: found.moments(arm) for arm in ARMS}
    assert sum(one.n for one in arms.values()) == customers
    return {
        "seconds": round(seconds, 2),
        "counted": found.counted,
        "disk_gb": round(size / 1e9, 3),
        "profit": [round(float(one.means[-1]), 6) for one in arms.values()],
    }


def _wide_file(path: Path, customers: int) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    columns = [f"x{number}" for number in range(WIDE)]
    schema = pa.schema([("arm", pa.string()), *((name, pa.float64()) for name in columns)])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, customers, CHUNK // 10):
            n = min(CHUNK // 10, customers - start)
            arms = pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 3, n)), list(ARMS))
            made = {name: rng.poisson(0.3, n).astype(np.float64) for name in columns}
            for name in columns[::2]:  # amounts, of which hardly two are alike
                made[name] *= np.round(rng.lognormal(3.5, 0.8, n), 2)
            writer.write_table(pa.table({"arm": arms.cast(pa.string()), **made}, schema))
    return {"gb": round(path.stat().st_size / 1e9, 3)}


def _wide(path: Path, customers: int) -> dict[str, Any]:
    began = time.perf_counter()
    found = moments_of_file(path, "arm", [f"x{number}" for number in range(WIDE)])
    seconds = time.perf_counter() - began
    assert sum(one.n for one in found.values()) == customers
    return {"seconds": round(seconds, 2)}


def _main(step: str, folder: str, customers: int, events: int, day: int) -> dict[str, Any]:
    project, wide = project_in(Path(folder)), Path(folder) / "wide.parquet"
    if step == "prepare":
        return _prepare(project, customers, events)
    if step == "more":
        return _more(project, customers, day)
    if step == "wide_file":
        # The log has been read: its place may be needed.
        shutil.rmtree(Path(folder) / "home")
        return _wide_file(wide, customers)
    if step == "wide":
        return _wide(wide, customers)
    return _followed(project, customers)


if __name__ == "__main__":
    given, *numbers = sys.argv[1:]
    answer = _main(given, numbers[0], *map(int, numbers[1:]))
    answer["memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    sys.stdout.write(msgspec.json.encode(answer).decode())
