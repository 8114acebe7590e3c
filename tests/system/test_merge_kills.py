"""A compaction that also merges and vacuums, killed at each place: every event is there once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from liftwerk.clock import SystemClock
from liftwerk.definitions import Project, load
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.read import read
from liftwerk.events.schema import schema_of
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from liftwerk.store.tables.kinds.small_files import FEW
from tests.system.collector import make_project

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ROUNDS = 2


def bring(project: Project, stores: Stores, number: int) -> None:
    visit = {
        "id": str(uuid.UUID(int=number)),
        "name": "page_viewed",
        "version": 1,
        "time": AT,
        "identifiers": {"visitor": f"v{number}"},
        "properties": {"path": "/"},
    }
    [row] = admit([msgspec.json.encode(visit)], schema_of(project), "shop", AT).rows
    assert row is not None
    stores.inbox.append([row])


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose next compaction merges; a vacuum is due too."""
    folder = make_project(tmp_path_factory.mktemp("merge") / "pristine")
    project = load(folder, SECTIONS)
    with open_stores(Home.of(project, create=True)) as stores, stores.home.hold("test"):
        for number in range(ROUNDS * FEW - 1):
            bring(project, stores, number)
            compact(project, stores, SystemClock())
        bring(project, stores, ROUNDS * FEW - 1)
    return folder


# The visits of one compaction: append and merge (rewritten, then taken out) of two tables.
@pytest.mark.parametrize(
    ("site", "visit"),
    [
        *(("table_write", visit) for visit in range(1, 7)),
        *(("table_sync", visit) for visit in range(3, 7)),
        ("snapshot_commit", 1),
    ],
)
def test_every_event_is_there_once(pristine: Path, tmp_path: Path, site: str, visit: int) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(pristine, folder)
    command = [sys.executable, "-m", "liftwerk.cli", "events", "compact", "--project", str(folder)]
    fault = {"LIFTWERK_FAULT": f"{site}:after:{visit}"}
    done = subprocess.run(command, env={**os.environ, **fault}, capture_output=True, timeout=120)
    assert done.returncode != 0, "the place was not visited so often"
    project = load(folder, SECTIONS)
    with open_stores(Home.of(project)) as stores, stores.home.hold("test"):
        compact(project, stores, SystemClock())
        found = read(project, stores, "page_viewed", "audit", ["id"]).column("id").to_pylist()
        assert sorted(found) == [uuid.UUID(int=n).bytes for n in range(ROUNDS * FEW)]
        assert stores.damage() == []
        snapshot = stores.ledger.latest_snapshot()
        assert snapshot is not None
        table = "page_viewed_v1"
        assert len(stores.tables.files(table, snapshot.tables[table])) < FEW + 2
