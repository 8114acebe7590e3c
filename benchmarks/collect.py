"""The collector: how many events a second it takes for good, beside the raw limit.

    .venv/bin/python -m benchmarks collect [--quick]

The real server with two workers and the sequencer beside it, as `liftwerk serve` runs; a client of
64 connections on one core; 20 million events already in (prepared once, kept in the user's cache
folder). The raw limits are the same rows appended to SQLite with the same fsyncs and no HTTP, and
the same server answering without storing.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.collect_home import SOURCE, Footprint, prepared, server
from benchmarks.traffic import STRINGS, Traffic
from liftwerk.definitions import load
from liftwerk.events.admit import admit
from liftwerk.events.schema import schema_of
from liftwerk.sections import SECTIONS
from liftwerk.server.payload import cut
from liftwerk.store.home import Home
from liftwerk.store.inbox.kinds.sqlite import SqliteInbox
from liftwerk.store.stores import open_stores

CONNECTIONS = 64
BATCH = 100
GROUP = CONNECTIONS * BATCH // 2
"""Rows of one transaction when all connections wait for two workers."""

BARS = {"batches": 25_000, "moonshot": 40_000, "singles": 3_000}
HALF = 12_500
"""Events a second while the sequencer's lag is watched: half of what is asked for."""

LAG_SECONDS = 30
"""So many seconds of arrivals may wait to be readable; the sequencer looks every 5."""

DRAIN = 1.5
COLLECTING_MB = 400
SEQUENCER_MB = 600


def run(quick: bool) -> dict[str, Any]:
    """Measure everything in one go."""
    sizes = {"before": 20_000_000, "backlog": 10_000_000, "seconds": 60, "half": 180}
    if quick:
        sizes = {"before": 1_000_000, "backlog": 400_000, "seconds": 10, "half": 20}
    with tempfile.TemporaryDirectory(prefix="liftwerk-collect.") as folder:
        project = prepared(Path(folder), sizes["before"])
        stages = _stages(project)
        raw = _raw(project, 300_000)
        dry = _load(project, sizes["seconds"] // 2, BATCH, 0, "--dry")
        batches = _load(project, sizes["seconds"], BATCH, 0)
        _settle(project)
        singles = _load(project, sizes["seconds"], 1, 0)
        alone = _load(project, sizes["seconds"] // 2, BATCH, 0, "--no-compact")
        _settle(project)
        half = _load(project, sizes["half"], BATCH, HALF)
        drained = _drain(project, sizes["backlog"])
    raw_rate = raw["events_per_second"]
    figures = {
        "events_before": sizes["before"],
        "consent_strings": STRINGS,
        "connections": CONNECTIONS,
        "cpu_us_per_event": stages,
        "raw_sqlite": raw,
        "answering_without_storing": dry,
        "batches": batches,
        "singles": singles,
        "batches_without_sequencer": alone,
        "half_speed": half,
        "backlog": drained,
        "ratio_to_raw_sqlite": round(batches["events_per_second"] / raw_rate, 2),
        "ratio_to_raw_sqlite_without_sequencer": round(alone["events_per_second"] / raw_rate, 2),
        "ratio_to_answering": round(batches["events_per_second"] / dry["events_per_second"], 2),
    }
    return {"figures": figures, "bars": _bars(batches, singles, half, drained)}


def _bars(
    batches: dict[str, Any], singles: dict[str, Any], half: dict[str, Any], drained: dict[str, Any]
) -> list[dict[str, Any]]:
    least = [
        ("events a second in batches of 100", batches["events_per_second"], BARS["batches"]),
        ("single requests a second", singles["events_per_second"], BARS["singles"]),
        ("backlog drained, events a second", drained["events_per_second"], round(DRAIN * HALF)),
    ]
    collecting = max(one["collecting_mb"] for one in (batches, singles, half))
    sequencer = max(one["sequencer_mb"] for one in (batches, singles, half, drained))
    most = [
        ("memory of the collecting processes, MB", collecting, COLLECTING_MB),
        ("memory of the sequencer, MB", sequencer, SEQUENCER_MB),
        ("events not yet readable at half speed, most", half["lag_most"], HALF * LAG_SECONDS),
    ]
    return [
        *({"bar": bar, "value": value, "goal": f">= {goal}", "holds": value >= goal}
          for bar, value, goal in least),
        *({"bar": bar, "value": value, "goal": f"<= {goal}", "holds": value <= goal}
          for bar, value, goal in most),
    ]  # fmt: skip


def _stages(project: Path) -> dict[str, float]:
    """Say what each stage takes of a processor, in this process, in microseconds an event."""
    schema = schema_of(load(project, SECTIONS))
    now = datetime.now(UTC)
    batches = Traffic(7, now).batches(BATCH)
    bodies = [next(batches) for _ in range(300)]
    texts = [cut(body, "application/json") for body in bodies]
    decode = schema.decoder.decode
    events = BATCH * len(bodies)

    def cost(work: Any) -> float:
        spent = []
        for _ in range(5):
            began = time.process_time()
            work()
            spent.append(time.process_time() - began)
        return round(statistics.median(spent) / events * 1e6, 2)

    rows = [row for text in texts for row in admit(text, schema, SOURCE, now).rows]
    with _inbox() as inbox:
        return {
            "cut the body": cost(lambda: [cut(body, "application/json") for body in bodies]),
            "decode and check": cost(lambda: [decode(one) for text in texts for one in text]),
            "admit in all (with consent, canonical text)": cost(
                lambda: [admit(text, schema, SOURCE, now) for text in texts]
            ),
            "append to SQLite": cost(
                lambda: [inbox.append(rows[at : at + GROUP]) for at in range(0, events, GROUP)]
            ),
        }


def _raw(project: Path, events: int) -> dict[str, Any]:
    """Append the same rows with the same transactions and fsyncs, and nothing else."""
    schema = schema_of(load(project, SECTIONS))
    now = datetime.now(UTC)
    traffic = Traffic(8, now)
    rows = admit(traffic.take(events), schema, SOURCE, now).rows
    with _inbox() as inbox:
        began = time.perf_counter()
        for at in range(0, events, GROUP):
            inbox.append(rows[at : at + GROUP])
        seconds = time.perf_counter() - began
    return {
        "events_per_second": round(events / seconds),
        "rows_per_transaction": GROUP,
        "bytes_per_row": round(sum(len(row.body) for row in rows) / events),
    }


@contextmanager
def _inbox() -> Iterator[SqliteInbox]:
    with tempfile.TemporaryDirectory(prefix="liftwerk-inbox.") as folder:
        inbox = SqliteInbox(Path(folder) / "inbox.sqlite")
        yield inbox
        inbox.close()


def _load(project: Path, seconds: int, size: int, rate: float, *options: str) -> dict[str, Any]:
    """Send to a server of its own; watches what it takes and how far the sequencer is behind."""
    with server(project, *options) as (port, key, pids):
        footprint = Footprint(pids, project)
        client = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.collect_client", str(port), key),
                *(
                    str(size),
                    str(seconds),
                    str(CONNECTIONS),
                    str(rate),
                    str(time.time_ns() % 10**6),
                ),
            ],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
        )
        with footprint.watching():
            said, _ = client.communicate(timeout=seconds + 120)
        found = json.loads(said)
        return {**found, **footprint.figures(found["events"])}


def _settle(project: Path) -> None:
    """Sort what is left, so that the next measurement starts without a backlog."""
    command = [sys.executable, "-m", "liftwerk.cli", "events", "compact"]
    subprocess.run([*command, "--project", str(project)], check=True, capture_output=True)


def _drain(project: Path, events: int) -> dict[str, Any]:
    """Let a backlog wait, then sort it while events keep coming at half speed."""
    loaded = load(project, SECTIONS)
    schema = schema_of(loaded)
    now = datetime.now(UTC)
    traffic = Traffic(9, now)
    stores = open_stores(Home.of(loaded))
    for _ in range(events // 50_000):
        stores.inbox.append(admit(traffic.take(50_000), schema, SOURCE, now).rows)
    behind = stores.inbox.count()
    stores.close()
    seconds = max(20, round(behind / (DRAIN * HALF)))
    found = _load(project, seconds, BATCH, HALF)
    sorted_out = behind + found["events"] - found["lag_last"]
    rate = round(sorted_out / found["seconds"])
    return {**found, "backlog": behind, "arriving_per_second": found["events_per_second"],
            "events_per_second": rate, "sorted": sorted_out}  # fmt: skip
