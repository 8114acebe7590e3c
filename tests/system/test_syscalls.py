"""The kernel's own record of the order in which bytes were synced, as ``strace`` saw it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import load
from liftwerk.events.append import append_event
from liftwerk.events.compact import compact
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from liftwerk.store.tables.kinds.small_files import FEW
from tests.system.collector import make_project

ORDER = {"order_id": "o1", "revenue": "1.00"}

# What a compaction does, thinly; a mark is a write to a file of its own.
WORK = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
import pyarrow
from liftwerk.store.home import Home
from liftwerk.store.ledger import Snapshot
from liftwerk.store.stores import open_stores
from liftwerk.store.tables.kinds import delta_log

AT = datetime(2026, 3, 1, tzinfo=UTC)
marks = os.open(sys.argv[1] + ".marks", os.O_WRONLY | os.O_CREAT)
if sys.argv[2] == "unsynced":
    delta_log.sync_since = lambda *_: None

def mark(text):
    os.write(marks, text.encode())

home = Home.open(Path(sys.argv[1]), create=True)
with home.hold("run"), open_stores(home) as stores:
    for number in range(2):
        mark("append")
        offset = max(stores.inbox.append([(bytes(16), "visit", number, b"{}")]))
        mark("acknowledged")
        time = pyarrow.array([AT], pyarrow.timestamp("us", "UTC"))
        leaf = pyarrow.array([bytes([number]) * 16], pyarrow.binary(16))
        rows = pyarrow.table({"time": time, "leaf": leaf})
        versions = {name: stores.tables.append(name, rows) for name in ("visit_v1", "order_v1")}
        snapshot = Snapshot(offset, versions, AT)
        mark("snapshot")
        with stores.ledger.change("run", "snapshot", snapshot.id, {}, AT) as tx:
            stores.ledger.put_snapshot(tx, snapshot)
        mark("committed")
        stores.inbox.trim(offset, 100)
        mark("trimmed")
    stores.artefacts.put(b"a model")
    mark("artefact")
    stores.tables.delete_rows("visit_v1", ["leaf"], [bytes(16)])
    mark("purge")
    stores.tables.purge("visit_v1")
    mark("purged")
"""


@dataclass(frozen=True)
class Call:
    """One system call: what it did, to which file (or from which to which)."""

    name: str
    path: str
    target: str = ""


pytestmark = pytest.mark.slow

_LINE = re.compile(r"^\d+ +(\w+)\((.*)$")
_ON_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
_QUOTED = re.compile(r'"([^"]*)"')
_SYNCS = ("fsync", "fdatasync")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    return traced(tmp_path_factory.mktemp("trace") / "home", "synced")


def traced(home: Path, how: str) -> list[Call]:
    return trace_of(home, "-c", WORK, str(home), how)


def trace_of(home: Path, *arguments: str) -> list[Call]:
    """Run Python with arguments and return what it did to the files of a home, in order."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is missing: apt-get install strace")
    probe = subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("strace may not trace here: the container needs the SYS_PTRACE capability")
    out = home.with_suffix(".trace")
    calls = "trace=write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink"
    command = [strace, "-f", "-y", "-qq", "-s", "64", "-e", calls, "-o", str(out)]
    subprocess.run([*command, sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    found = []
    for line in out.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None or str(home) not in line or " ENOENT " in line:
            continue
        found.append(_call(match[1], match[2]))
    return found


def _call(name: str, arguments: str) -> Call:
    on = _ON_DESCRIPTOR.match(arguments)
    quoted = _QUOTED.findall(arguments)
    if on is not None:
        return Call(name, on[1], "".join(quoted[:1]))
    return Call(name, quoted[0], quoted[-1])


def unsynced(calls: Sequence[Call]) -> list[str]:
    """Name what was moved into its place under tables/ and not synced since, file and folder."""
    waiting: list[str] = []
    for call in calls:
        if call.name.startswith(("rename", "link")) and "/tables/" in call.target:
            waiting += [call.target, str(Path(call.target).parent)]
        if call.name == "write" and "/tables/" in call.path and "#" not in call.path:
            waiting.append(call.path)
        if call.name in _SYNCS:
            waiting = [path for path in waiting if path != call.path]
    return waiting


def until(calls: Sequence[Call], mark: str, visit: int) -> list[Call]:
    """Return the calls before the n-th time that the work said a word."""
    places = [n for n, call in enumerate(calls) if call.target == mark and is_mark(call)]
    return list(calls[: places[visit]])


def between(calls: Sequence[Call], first: str, last: str, visit: int) -> list[Call]:
    return list(calls[len(until(calls, first, visit)) : len(until(calls, last, visit))])


def is_mark(call: Call) -> bool:
    return call.path.endswith(".marks")


@pytest.mark.parametrize("visit", [0, 1])
def test_no_snapshot_row_before_its_files_are_synced(trace: list[Call], visit: int) -> None:
    before = until(trace, "snapshot", visit)
    placed = {call.target for call in before if call.name.startswith(("rename", "link"))}
    assert len([path for path in placed if path.endswith(".parquet")]) == 2 * (visit + 1)
    assert len([path for path in placed if path.endswith(".json")]) == 2 * (visit + 1)
    assert unsynced(before) == []
    # the row itself isn't written any earlier
    written = between(trace, "acknowledged", "snapshot", visit)
    assert not any("ledger.sqlite" in call.path for call in written)


def test_a_new_table_is_synced_up_to_the_folder_of_tables(trace: list[Call]) -> None:
    synced = [call.path for call in until(trace, "snapshot", 0) if call.name == "fsync"]
    for name in ("visit_v1", "order_v1"):
        assert any(path.endswith(f"/tables/{name}") for path in synced)
        assert any(path.endswith(f"/{name}/_delta_log") for path in synced)
        assert any(f"/{name}/month=" in path and path.endswith("-03") for path in synced)
    assert any(path.endswith("/tables") for path in synced)


@pytest.mark.parametrize("visit", [0, 1])
def test_the_snapshot_row_is_synced_before_the_inbox_is_trimmed(
    trace: list[Call], visit: int
) -> None:
    commit = between(trace, "snapshot", "committed", visit)
    assert [call.path for call in commit if call.name in _SYNCS][-1].endswith("ledger.sqlite-wal")
    assert not any("inbox.sqlite" in call.path for call in commit)
    trim = between(trace, "committed", "trimmed", visit)
    assert any("inbox.sqlite-wal" in call.path for call in trim)


@pytest.mark.parametrize("visit", [0, 1])
def test_what_is_acknowledged_is_synced(trace: list[Call], visit: int) -> None:
    append = [call for call in between(trace, "append", "acknowledged", visit) if not is_mark(call)]
    assert any(call.name == "pwrite64" for call in append)
    assert append[-1].name in _SYNCS
    assert append[-1].path.endswith("inbox.sqlite-wal")


def test_an_artefact_is_synced_before_and_after_it_gets_its_name(trace: list[Call]) -> None:
    calls = [call for call in until(trace, "artefact", 0) if "/artefacts" in call.path]
    assert [call.name for call in calls[-4:]] == ["write", "fsync", "rename", "fsync"]
    assert calls[-1].path.endswith("/artefacts")


def test_a_purge_removes_old_log_only_behind_a_synced_checkpoint(trace: list[Call]) -> None:
    calls = between(trace, "purge", "purged", 0)
    removed = [n for n, c in enumerate(calls) if c.name == "unlink" and c.path.endswith("0.json")]
    before = calls[: removed[0]]
    assert any(call.target.endswith(".checkpoint.parquet") for call in before)
    assert unsynced(before) == []


def test_the_test_would_notice_missing_syncs(tmp_path: Path) -> None:
    calls = traced(tmp_path / "home", "unsynced")
    assert len(unsynced(until(calls, "snapshot", 0))) >= 4


# ------------------------------------------------------------------------ the command itself


@pytest.mark.parametrize("rounds", [1, 2, FEW], ids=["new tables", "known tables", "merged files"])
def test_sorting_syncs_tables_then_the_snapshot_then_lets_the_inbox_go(
    rounds: int, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "shop")
    definitions = load(project, SECTIONS)
    home = Home.of(definitions, create=True)
    for number in range(rounds):
        with open_stores(home) as stores:
            for name, properties in (("page_viewed", {"path": "/"}), ("order_completed", ORDER)):
                event = {"name": name, "identifiers": {"visitor": "v1"}, "properties": properties}
                at = FixedClock(datetime(2026, 3, 1 + number, tzinfo=UTC))
                append_event(definitions, stores, event, "shop", at)
            if number < rounds - 1:
                with home.hold("test"):
                    compact(definitions, stores, at)
    compacting = ("-m", "liftwerk.cli", "events", "compact", "--project", str(project))
    calls = trace_of(home.path, *compacting)
    places = {
        what: [n for n, call in enumerate(calls) if call.name == "pwrite64" and what in call.path]
        for what in ("ledger.sqlite-wal", "inbox.sqlite-wal")
    }
    snapshot, trim = places["ledger.sqlite-wal"][0], places["inbox.sqlite-wal"][0]
    before = calls[:snapshot]
    placed = [call.target for call in before if call.name.startswith(("rename", "link"))]
    for table in ("page_viewed_v1", "order_completed_v1", "identifiers"):
        if rounds > 1 and table == "identifiers":
            continue  # nobody new
        # Where small files were merged, the merged one and its entry are there too.
        files = 1 + int(rounds == FEW)
        for folder in ("month=", "_delta_log"):
            assert sum(f"/{table}/{folder}" in path for path in placed) == files, table
    assert unsynced(before) == []
    assert "ledger.sqlite-wal" in [
        Path(call.path).name for call in calls[snapshot:trim] if call.name in _SYNCS
    ]
    # Nothing is placed behind the snapshot's back, and the trim itself is synced.
    assert not [call for call in calls[snapshot:trim] if "/tables/" in call.target]
    assert [call.path for call in calls[trim:] if call.name in _SYNCS]
