"""What only a server brings: writers that stall, sessions that are ended, crashes."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from liftwerk.errors import StoreFault
from liftwerk.store.inbox.kinds.postgresql import PostgresqlInbox
from liftwerk.store.postgresql import connect_postgresql
from tests.postgresql import PostgresqlServer, until

pytestmark = pytest.mark.slow

Admin = psycopg.Connection[tuple[Any, ...]]
Row = tuple[bytes, str, int, bytes]
SIZE = 5


def row(number: int) -> Row:
    return (number.to_bytes(16, "big"), "visit", number, b"{}")


def batch(number: int) -> list[Row]:
    return [row(number * SIZE + place) for place in range(SIZE)]


class Stalling(list[Row]):
    """Rows of which the second is only there when it is asked for: `append` waits inside."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__(rows)
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __iter__(self) -> Iterator[Row]:
        for number, one in enumerate(super().__iter__()):
            if number == 1:
                self.reached.set()
                assert self.go_on.wait(30)
            yield one


def waiting(admin: Admin) -> list[int]:
    """List the sessions that another one keeps waiting."""
    sql = "select pid from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"
    return [pid for (pid,) in admin.execute(sql)]


def writing(admin: Admin) -> list[int]:
    """List our sessions that are inside a transaction which has written."""
    sql = (
        "select pid from pg_stat_activity"
        " where application_name = 'liftwerk' and backend_xid is not null"
    )
    return [pid for (pid,) in admin.execute(sql)]


def read_on(inbox: PostgresqlInbox, seen: list[int]) -> None:
    """Read by offset what lies behind the last reading."""
    seen.extend(inbox.read(max(seen, default=0), 1_000_000).column("offset").to_pylist())


# ---------------------------------------------------------------------- offsets


def test_a_reader_by_offset_skips_no_transaction_that_commits_late(
    inboxes: Any, admin: Admin
) -> None:
    late, quick, reader = inboxes(), inboxes(), inboxes()
    reader.append([row(1)])
    seen: list[int] = []
    rows = Stalling(batch(1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(late.append, rows)
        assert rows.reached.wait(30)  # it has its offsets, and has not committed
        second = pool.submit(quick.append, batch(2))
        until(lambda: bool(second.done() or waiting(admin)))
        read_on(reader, seen)
        assert seen == list(range(1, reader.last_offset() + 1))  # a prefix, whoever came first
        rows.go_on.set()
        offsets = sorted([*first.result(30), *second.result(30)])
    read_on(reader, seen)
    assert offsets == list(range(2, 2 + 2 * SIZE))
    assert seen == [1, *offsets]


def test_offsets_that_were_taken_and_not_committed_are_given_again(inboxes: Any) -> None:
    inbox = inboxes()
    inbox.append(batch(1))
    with pytest.raises(ValueError, match="16 bytes"):
        inbox.append([*batch(2), (b"short", "visit", 0, b"jane.doe@example.org")])
    assert list(inbox.append(batch(3))) == list(range(SIZE + 1, 2 * SIZE + 1))


def _write(url: str, writer: int, batches: int) -> None:
    inbox = PostgresqlInbox(url)
    for number in range(batches):
        offsets = inbox.append(batch(writer * 1000 + number))
        stored = inbox.read(offsets[0] - 1, SIZE)
        assert stored.column("offset").to_pylist() == list(offsets)
        ids = [event_id for event_id, *_ in batch(writer * 1000 + number)]
        assert stored.column("event_id").to_pylist() == ids
    inbox.close()


@pytest.mark.slow
def test_many_processes_make_and_fill_one_inbox(postgresql_url: str, inboxes: Any) -> None:
    writers, batches = 3, 20
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_write, args=(postgresql_url, number, batches))
        for number in range(writers)
    ]
    for process in processes:
        process.start()
    reader, seen = inboxes(), []
    for process in processes:
        while process.is_alive():
            read_on(reader, seen)
            process.join(0.02)
    read_on(reader, seen)
    assert [process.exitcode for process in processes] == [0] * writers
    assert seen == list(range(1, writers * batches * SIZE + 1))


# ---------------------------------------------------------------------- what breaks


def test_a_session_that_is_ended_inside_an_append_leaves_nothing_half(
    inboxes: Any, admin: Admin
) -> None:
    inbox, reader = inboxes(), inboxes()
    inbox.append(batch(1))
    rows = Stalling(batch(2))
    with ThreadPoolExecutor(1) as pool:
        append = pool.submit(inbox.append, rows)
        assert rows.reached.wait(30)
        until(lambda: len(writing(admin)) == 1)
        admin.execute("select pg_terminate_backend(%s, 30000)", writing(admin))
        rows.go_on.set()
        with pytest.raises(StoreFault, match="may or may not be stored: send it again"):
            append.result(30)
    assert reader.count() == SIZE
    assert list(inbox.append(batch(2))) == list(range(SIZE + 1, 2 * SIZE + 1))


def test_sessions_that_were_ended_while_idle_are_not_noticed(inboxes: Any, admin: Admin) -> None:
    inbox = inboxes()
    inbox.append(batch(1))
    admin.execute(
        "select pg_terminate_backend(pid, 30000) from pg_stat_activity"
        " where application_name = 'liftwerk'"
    )
    assert list(inbox.append(batch(2))) == list(range(SIZE + 1, 2 * SIZE + 1))


def test_no_more_connections_are_open_than_calls_were_under_way(postgresql_url: str) -> None:
    opened = []

    def connect(url: str) -> Admin:
        opened.append(connect_postgresql(url))
        return opened[-1]

    inbox = PostgresqlInbox(postgresql_url, connect)
    for number in range(5):
        inbox.append(batch(number))
        inbox.read(0, 1)
    assert len(opened) == 1
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(inbox.append, [batch(number) for number in range(30)]))
    assert len(opened) <= 3
    inbox.close()
    assert all(connection.closed for connection in opened)


class Writers:
    """Threads that append until told to stop, as callers must: again, when nobody can know."""

    def __init__(self, opener: Any, many: int) -> None:
        self.stop = threading.Event()
        self.acknowledged: dict[int, bytes] = {}
        self.faults = 0
        self._threads = [
            threading.Thread(target=self._work, args=(opener(), number)) for number in range(many)
        ]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, inbox: PostgresqlInbox, writer: int) -> None:
        number = 0
        while not self.stop.is_set():
            rows = batch(writer * 1_000_000 + number)
            try:
                offsets = inbox.append(rows)
            except StoreFault:
                self.faults += 1
                self.stop.wait(0.05)
                continue
            ids = [event_id for event_id, *_ in rows]
            self.acknowledged.update(zip(offsets, ids, strict=True))
            number += 1

    def more(self, than: int) -> None:
        until(lambda: len(self.acknowledged) > than)


def check(inbox: PostgresqlInbox, acknowledged: dict[int, bytes], seen: list[int]) -> None:
    """All that was acknowledged is there, at its offset; batches are whole; none is skipped."""
    table = inbox.read(0, 10_000_000)
    offsets = table.column("offset").to_pylist()
    ids = table.column("event_id").to_pylist()
    assert offsets == list(range(1, len(ids) + 1)) == seen
    assert {offset: ids[offset - 1] for offset in acknowledged} == acknowledged
    numbers = [int.from_bytes(event_id, "big") for event_id in ids]
    assert [number % SIZE for number in numbers] == [*range(SIZE)] * (len(ids) // SIZE)


@pytest.mark.slow
def test_acknowledged_rows_outlive_the_ending_of_every_session(inboxes: Any, admin: Admin) -> None:
    seen: list[int] = []
    reader = inboxes()
    with Writers(inboxes, 3) as writers:
        for _ in range(15):
            writers.more(len(writers.acknowledged))
            victims = writing(admin)
            admin.execute(
                "select pg_terminate_backend(pid, 30000) from unnest(%s::int[]) pid", (victims,)
            )
            read_on(reader, seen)
    read_on(reader, seen)
    check(reader, writers.acknowledged, seen)


@pytest.mark.slow
def test_acknowledged_rows_outlive_a_server_that_crashes(
    inboxes: Any, postgresql: PostgresqlServer
) -> None:
    seen: list[int] = []
    reader = inboxes()
    with Writers(inboxes, 3) as writers:
        for _ in range(3):
            writers.more(len(writers.acknowledged) + 3 * SIZE)
            read_on(reader, seen)
            postgresql.stop("immediate")
            postgresql.start()
            writers.more(len(writers.acknowledged))
    read_on(reader, seen)
    check(reader, writers.acknowledged, seen)
    assert writers.faults > 0


def test_a_writer_that_hangs_keeps_nobody_waiting_for_ever(inboxes: Any, admin: Admin) -> None:
    inbox = inboxes()
    with inbox.server.transaction() as connection:
        settings = dict(
            connection.execute(
                "select name, setting from pg_settings where name in"
                " ('lock_timeout', 'idle_in_transaction_session_timeout', 'synchronous_commit')"
            ).fetchall()
        )
    assert settings == {
        "lock_timeout": "30000",
        "idle_in_transaction_session_timeout": "20000",
        "synchronous_commit": "on",
    }
    with pytest.raises(StoreFault, match=r"a transaction hung|the connection broke"):
        _hang(inbox, admin)


def _hang(inbox: PostgresqlInbox, admin: Admin) -> None:
    with inbox.server.transaction() as hung:
        hung.execute("set idle_in_transaction_session_timeout = '1ms'")
        until(lambda: not _sessions(admin, hung.info.backend_pid))
        hung.execute("select 1")


def _sessions(admin: Admin, pid: int) -> list[Any]:
    return admin.execute("select from pg_stat_activity where pid = %s", (pid,)).fetchall()
