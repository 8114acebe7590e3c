"""A home with millions of events, the server in front of it, and what its processes take."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.traffic import PROJECT, Traffic
from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.schema import schema_of
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores

SOURCE = "web"
KEY = "lw-benchmark-own-write-key-0123456789"
CHUNK = 200_000
DAYS = 25
"""The events before came over so many days: all of them within the horizon of deduplication."""


def prepared(folder: Path, events: int) -> Path:
    """Return a project with so many events in its tables; built once, and kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "liftwerk"
    kept = cache / f"collect-{events}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        building = cache / f"collect-{events}.building"
        shutil.rmtree(building, ignore_errors=True)
        _build(building, events)
        building.rename(kept)
    project = folder / "project"
    # Tables are files that nobody changes; databases are copied.
    shutil.copytree(kept, project, copy_function=link_or_copy)
    return project


def link_or_copy(source: str, target: str) -> None:
    if "/tables/" in source:
        try:
            os.link(source, target)
            return
        except OSError:
            pass  # another file system
    shutil.copy2(source, target)


def _build(project: Path, events: int) -> None:
    project.mkdir(parents=True)
    (project / "liftwerk.toml").write_text(PROJECT.replace('kind = "http"', _KIND))
    loaded = load(project, SECTIONS)
    schema = schema_of(loaded)
    now = datetime.now(UTC)
    stores = open_stores(Home.of(loaded, create=True))
    made = 0
    with stores.home.hold("benchmark"):
        while made < events:
            at = now - timedelta(days=DAYS * (1 - made / events))
            traffic = Traffic(made, at)
            rows = admit(traffic.take(CHUNK), schema, SOURCE, at).rows
            stores.inbox.append(rows)
            made += CHUNK
            compact(loaded, stores, SystemClock())
            print(f"prepared {made:,} of {events:,} events", file=sys.stderr)
    stores.close()


_KIND = 'kind = "http"\nkey_env = "LIFTWERK_BENCHMARK_KEY"'


@contextmanager
def server(project: Path, *options: str) -> Iterator[tuple[int, str, dict[str, list[int]]]]:
    """Run `liftwerk serve --only collect --workers 2`; yields its port, a key and its processes."""
    command = [sys.executable, "-m", "liftwerk.cli", "serve", "--only", "collect"]
    process = subprocess.Popen(
        [*command, "--workers", "2", "--port", "0", "--project", str(project), *options],
        env={**os.environ, "LIFTWERK_BENCHMARK_KEY": KEY},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        time.sleep(1)  # both workers are up
        yield port, KEY, processes_of(process.pid)
    finally:
        process.terminate()
        process.wait(90)


def processes_of(server_pid: int) -> dict[str, list[int]]:
    """Say which processes a server has, and what they do."""
    found: dict[str, list[int]] = {"collecting": [server_pid], "sequencer": [], "follower": []}
    children = Path(f"/proc/{server_pid}/task")
    for task in children.iterdir():
        for pid in (task / "children").read_text().split():
            said = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"\0compact\0" in said:
                found["sequencer"].append(int(pid))
            elif b"\0follow\0" in said:
                found["follower"].append(int(pid))
            elif b"resource_tracker" not in said:
                found["collecting"].append(int(pid))
    return found


class Footprint:
    """Memory, processor time and lag, looked at twice a second."""

    def __init__(self, pids: dict[str, list[int]], project: Path) -> None:
        self._pids = pids
        self._stores = open_stores(Home.of(load(project, SECTIONS)))
        self._memory: dict[str, list[float]] = {kind: [] for kind in pids}
        self._lag: list[int] = []
        self._cpu = dict.fromkeys(pids, 0.0)
        self._ended = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look until the work is done."""
        before = {kind: sum(map(cpu_seconds, pids)) for kind, pids in self._pids.items()}
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            for kind, pids in self._pids.items():
                self._cpu[kind] = sum(map(cpu_seconds, pids)) - before[kind]
            self._stores.close()

    def _watch(self) -> None:
        while True:
            for kind, pids in self._pids.items():
                self._memory[kind].append(sum(map(_proportional_mb, pids)))
            snapshot = self._stores.ledger.latest_snapshot()
            assert snapshot is not None
            self._lag.append(self._stores.inbox.last_offset() - snapshot.inbox_offset)
            if self._ended.wait(0.5):
                return

    def figures(self, events: int) -> dict[str, Any]:
        """Return what was seen."""
        third = max(1, len(self._memory["collecting"]) // 3)
        collecting = self._memory["collecting"]
        return {
            "collecting_mb": round(max(collecting)),
            "collecting_mb_first_third": round(max(collecting[:third])),
            "collecting_mb_last_third": round(max(collecting[-third:])),
            "sequencer_mb": round(max(self._memory["sequencer"], default=0)),
            "server_cpu_us_per_event": round(self._cpu["collecting"] / events * 1e6, 1),
            "sequencer_cpu_s": round(self._cpu["sequencer"], 1),
            "lag_most": max(self._lag),
            "lag_last": self._lag[-1],
        }


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _proportional_mb(pid: int) -> float:
    """Return memory with shared pages divided among those who share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1e3
    return 0.0
