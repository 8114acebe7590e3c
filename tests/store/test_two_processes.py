"""`serve` reads while `run` writes, from other processes and other threads."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from liftwerk.errors import HomeInUse
from liftwerk.store.home import Home
from liftwerk.store.inbox.kinds.sqlite import TRIM_ROWS, SqliteInbox
from liftwerk.store.ledger import Snapshot
from liftwerk.store.ledger.kinds.sqlite import SqliteLedger
from liftwerk.store.stores import Stores, open_stores

AT = datetime(2026, 3, 1, tzinfo=UTC)
ROUNDS = 15


def round_of(number: int) -> pyarrow.Table:
    time = pyarrow.array([AT + timedelta(days=30 * (number % 3))], pyarrow.timestamp("us", "UTC"))
    return pyarrow.table({"offset": pyarrow.array([number], pyarrow.int64()), "time": time})


def publish(stores: Stores, number: int) -> None:
    offsets = stores.inbox.append([(number.to_bytes(16, "big"), "visit", number, b"{}")])
    versions = {name: stores.tables.append(name, round_of(number)) for name in ("a_v1", "b_v1")}
    snapshot = Snapshot(max(offsets), versions, AT)
    with stores.ledger.change("run", "snapshot", snapshot.id, {}, AT) as tx:
        stores.ledger.put_snapshot(tx, snapshot)


def _write(path: Path, stop: Event) -> None:
    home = Home.open(path)
    with home.hold("run"), open_stores(home) as stores:
        for number in range(ROUNDS):
            publish(stores, number)
        stop.wait(30)


def seen(stores: Stores) -> tuple[int, list[int], list[int]]:
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return 0, [], []
    tables = []
    with stores.tables.reading():
        for name, version in sorted(snapshot.tables.items()):
            files = stores.tables.files(name, version)
            rows = [pyarrow.parquet.read_table(file, partitioning=None) for file in files]
            tables.append(sorted(o for table in rows for o in table.column("offset").to_pylist()))
    return snapshot.inbox_offset, tables[0], tables[1]


@pytest.mark.slow
def test_a_reader_sees_whole_snapshots_while_another_process_writes(home: Home) -> None:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=_write, args=(home.path, stop))
    writer.start()
    stores = open_stores(home)
    offset = 0
    while offset < ROUNDS:
        assert writer.is_alive()
        offset, first, second = seen(stores)
        assert first == second == list(range(offset))
    with pytest.raises(HomeInUse, match=f"process {writer.pid} \\(run\\)"), home.hold("erase"):
        pass
    assert stores.ledger.verify_audit().entries == ROUNDS
    stop.set()
    writer.join()
    assert writer.exitcode == 0
    with home.hold("erase"):
        pass
    stores.close()


def _open(path: Path) -> None:
    ledger = SqliteLedger(Home.open(path, create=True).path / "ledger.sqlite")
    with ledger.change("run", "open", "home", {}, AT):
        pass
    ledger.close()


@pytest.mark.slow
def test_many_processes_open_a_new_home_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open, args=(tmp_path / "home",)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with open_stores(Home.open(tmp_path / "home")) as stores:
        assert stores.ledger.verify_audit().entries == 4


def test_threads_have_a_connection_each_and_leave_none_behind(home: Home) -> None:
    with open_stores(home) as stores:

        def work(number: int) -> int:
            with stores.ledger.change("run", "act", str(number), {}, AT):
                pass
            return len(stores.ledger.audit())

        with ThreadPoolExecutor(8) as pool:
            assert max(pool.map(work, range(40))) == 40
        check = stores.ledger.verify_audit()
        assert (check.ok, check.entries) == (True, 40)
        for _ in range(5):
            thread = threading.Thread(target=work, args=(0,))
            thread.start()
            thread.join()
        database = stores.ledger.database  # type: ignore[attr-defined]
        assert len(database._open) <= 2  # this thread's, and the last one's


@pytest.mark.slow
def test_a_long_trim_lets_others_write_in_between(tmp_path: Path) -> None:
    inbox, other = (SqliteInbox(tmp_path / "inbox.sqlite") for _ in range(2))
    many = 20 * TRIM_ROWS
    inbox.append([_row(number) for number in range(many)])
    ended = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not ended.is_set():
            written.append(other.append([_row(many + len(written))])[0])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        before = len(written)
        assert inbox.trim(up_to=many, received_before_us=2**62) == many
        between = len(written) - before
    finally:
        ended.set()
        thread.join()
    assert between >= 10
    assert inbox.read(many, 10**6).column("offset").to_pylist() == written
    inbox.close()
    other.close()


def _row(number: int) -> tuple[bytes, str, int, bytes]:
    return (number.to_bytes(16, "big"), "visit", number, b"{}")
