"""Values that follow: how long from an event that was acknowledged to its value that is served.

A real `liftwerk serve`: it collects, sorts into tables, keeps the fixed pack of 50 features up to
date and serves it. Freshness counts from the answer that acknowledges an order to the first answer
that knows it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.collect_home import cpu_seconds
from benchmarks.features_home import prepared, serving
from benchmarks.features_join import bar
from benchmarks.features_online import CUSTOMERS, EVENTS, QUICK, client

RATE = 5_000
FRESH_MS = 2_000
SECONDS, LADDER_SECONDS = 60, 20
LADDER = (7_500, 10_000, 12_500, 15_000)
LOWER = (3_500, 2_500, 1_500, 1_000)
"""Tried where the asked rate is not kept."""

KEPT = 0.98
"""Of what was asked for, so much has to be acknowledged."""

DRAIN_MS = 3_000
"""When the last event was sent, values may be so far behind."""


def run(quick: bool) -> dict[str, Any]:
    """Measure at the rate that is asked for, then look for the highest that is kept."""
    times = QUICK if quick else 1
    seconds, ladder = SECONDS, LADDER_SECONDS
    if quick:
        seconds, ladder = 15, 10
    with tempfile.TemporaryDirectory(prefix="liftwerk-features.") as folder:
        project = prepared(Path(folder), CUSTOMERS // times, EVENTS // times)
        with serving(project) as (port, pids):
            time.sleep(3)  # whoever follows has begun
            measured = {RATE: _load(port, pids, RATE, seconds, CUSTOMERS // times)}
            for rate in LADDER if _is_kept(RATE, measured[RATE]) else LOWER:
                measured[rate] = _load(port, pids, rate, ladder, CUSTOMERS // times)
                if _is_kept(rate, measured[rate]) == (rate < RATE):
                    break
    kept = [rate for rate, found in measured.items() if _is_kept(rate, found)]
    asked = measured[RATE]
    p99, rate = asked["fresh"].get("p99_ms", float("inf")), asked["events_per_second"]
    return {
        "figures": {
            "highest_rate_kept": max(kept, default=0),
            "by_rate": {str(rate): found for rate, found in measured.items()},
        },
        "bars": [
            bar("stream: events a second", rate, ">= 4900", rate >= KEPT * RATE),
            bar("stream: p99 from acknowledged to served, ms", p99, "< 2000", p99 < FRESH_MS),
            bar("stream: never served", asked["not_served"], "== 0", asked["not_served"] == 0),
        ],
    }


def _load(
    port: int, pids: dict[str, list[int]], rate: int, seconds: float, customers: int
) -> dict[str, Any]:
    before = {kind: sum(map(cpu_seconds, group)) for kind, group in pids.items()}
    found = client("stream", port, rate, seconds, customers)
    spent = {kind: sum(map(cpu_seconds, group)) - before[kind] for kind, group in pids.items()}
    events = max(1, found["events"])
    each = {kind: round(used / events * 1e6, 1) for kind, used in spent.items()}
    return {
        **found,
        "events_per_second": round(found["events"] / found["seconds"]),
        "cpu_us_per_event": {**each, "all": round(sum(each.values()), 1)},
    }


def _is_kept(rate: int, found: dict[str, Any]) -> bool:
    return (
        found["events_per_second"] >= KEPT * rate
        and found["not_served"] == 0
        and found["fresh"]["p99_ms"] < FRESH_MS
        and found["drained_after_seconds"] * 1e3 < DRAIN_MS
    )
