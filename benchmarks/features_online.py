"""Values served: the fixed pack of 50 features of one customer, in process and over HTTP.

Who comes often is asked for often. The raw limit is reading the same rows and nothing else, and the
same server saying that it is alive.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.features_home import prepared, serving
from benchmarks.features_join import bar
from benchmarks.features_traffic import VIEW, number_of
from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.features.serve import Server
from liftwerk.identity.resolve import leaf_of
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores

ROOT = Path(__file__).parents[1]
CUSTOMERS, EVENTS = 200_000, 3_000_000
QUICK = 10
ASKED = 20_000
RATE, SECONDS, QUICK_SECONDS = 1_000, 20, 10
IN_PROCESS_MS, HTTP_MS = 1.0, 5.0


def run(quick: bool) -> dict[str, Any]:
    """Measure both."""
    times, seconds = 1, SECONDS
    if quick:
        times, seconds = QUICK, QUICK_SECONDS
    customers = CUSTOMERS // times
    with tempfile.TemporaryDirectory(prefix="liftwerk-features.") as folder:
        project = prepared(Path(folder), customers, EVENTS // times)
        inside = _in_process(project, customers, ASKED // times)
        with serving(project, "--only", "pages") as (port, _):
            over_http = client("get", port, RATE, seconds, customers)
            alive = client("get", port, RATE, seconds, customers, "/health/live")
    p99, http_p99 = inside["50 features"]["p99_ms"], over_http["p99_ms"]
    unanswered = over_http["asked"] - over_http["answers"].get("200", 0)
    return {
        "figures": {
            "customers": customers,
            "events": EVENTS // times,
            "in_process": inside,
            "over_http": over_http,
            "alive_over_http": alive,
        },
        "bars": [
            bar("online: p99 in process, ms", p99, "< 1", p99 < IN_PROCESS_MS),
            bar("online: p99 at 1,000 requests a second, ms", http_p99, "< 5", http_p99 < HTTP_MS),
            bar("online: requests without values", unanswered, "== 0", unanswered == 0),
        ],
    }


def client(kind: str, port: int, rate: float, seconds: float, *more: object) -> dict[str, Any]:
    """Run `benchmarks.features_client` in a process of its own."""
    given = (kind, port, rate, seconds, *more)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.features_client", *map(str, given)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=seconds + 180,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _in_process(path: Path, customers: int, asked: int) -> dict[str, Any]:
    project = load(path, SECTIONS)
    draw = random.Random(2)
    numbers = [number_of(draw.random(), customers) for _ in range(asked)]
    leaves = [leaf_of(project, f"c-{number:07d}", "customer_id") for number in numbers]
    with open_stores(Home.of(project)) as stores:
        server = Server(project, stores, VIEW, SystemClock())
        space = server.kept.space
        served = _timed(lambda leaf: server.get(leaf), leaves)
        known = sum(server.get(leaf).values["views_90d"] > 0 for leaf in leaves[:200])
        assert known > 150, known
        raw = _timed(lambda leaf: stores.online.get(space, [leaf]), leaves)
    return {"50 features": served, "raw: one row, not looked into": raw}


def _timed(ask: Callable[[bytes], object], leaves: list[bytes]) -> dict[str, Any]:
    for leaf in leaves[:500]:
        ask(leaf)
    took = []
    for leaf in leaves:
        began = time.perf_counter()
        ask(leaf)
        took.append((time.perf_counter() - began) * 1e3)
    p50, p99, most = (round(float(each), 3) for each in np.percentile(took, [50, 99, 100]))
    return {"asked": len(leaves), "p50_ms": p50, "p99_ms": p99, "most_ms": most}
