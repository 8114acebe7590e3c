"""A home whose customers have histories and whose view is filled, made once and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.collect_home import link_or_copy, processes_of
from benchmarks.features_traffic import BROWSER, KEYS, ORDERS, SHOP, Shop, project_text
from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.schema import schema_of
from liftwerk.features.update import Updater
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores

CHUNK = 100_000
DAYS = 90
"""Over which histories are spread."""


def prepared(folder: Path, customers: int, events: int) -> Path:
    """Return a project whose customers have so many events, sorted and taken into the view."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "liftwerk"
    size, today = f"features-{customers}-{events}", datetime.now(UTC).date()
    kept = cache / f"{size}-{today:%Y%m%d}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for aged in cache.glob(f"{size}-*"):  # its windows are empty by now
            shutil.rmtree(aged)
        building = cache / f"{kept.name}.building"
        shutil.rmtree(building, ignore_errors=True)
        _build(building, customers, events)
        building.rename(kept)
    project = folder / "project"
    shutil.copytree(kept, project, copy_function=link_or_copy)
    # Values are made by the code of today, whichever made the home.
    (project / "liftwerk.toml").write_text(project_text())
    with open_stores(Home.of(load(project, SECTIONS))) as stores:
        updater = Updater(load(project, SECTIONS), stores, SystemClock())
        updater.forget()
        updater.catch_up()
    return project


def _build(project: Path, customers: int, events: int) -> None:
    project.mkdir(parents=True)
    (project / "liftwerk.toml").write_text(project_text())
    loaded = load(project, SECTIONS)
    schema = schema_of(loaded)
    now = datetime.now(UTC)
    shop = Shop(events, customers)
    with open_stores(Home.of(loaded, create=True)) as stores, stores.home.hold("benchmark"):
        for made in range(0, events, CHUNK):
            since = now - timedelta(days=DAYS * (1 - made / events))
            until = now - timedelta(days=DAYS * (1 - (made + CHUNK) / events), seconds=60)
            for source, share in ((BROWSER, 1 - ORDERS), (SHOP, ORDERS)):
                texts = shop.take(source, round(CHUNK * share), since, until)
                admitted = admit(texts, schema, source, until)
                assert len(admitted.rows) == len(texts), admitted
                stores.inbox.append(admitted.rows)
            compact(loaded, stores, SystemClock())
            print(f"prepared {made + CHUNK:,} of {events:,} events", file=sys.stderr)


@contextmanager
def serving(project: Path, *options: str) -> Iterator[tuple[int, dict[str, list[int]]]]:
    """Run `liftwerk serve`; yields its port and its processes."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "liftwerk.cli", "serve", "--port", "0"),
            *("--project", str(project), *options),
        ],
        env={**os.environ, **dict(KEYS.values())},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        yield port, processes_of(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
