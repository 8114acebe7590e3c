"""What only a server brings: writers that stall, sessions that are ended, restarts, refusals."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from liftwerk.errors import StoreFault, UnknownName
from liftwerk.store.inbox import INBOXES, Rejected
from liftwerk.store.inbox.kinds import postgresql as kind
from liftwerk.store.inbox.kinds.postgresql import PostgresqlInbox
from liftwerk.store.urls import open_url
from tests.postgresql import PostgresqlServer, until

Admin = psycopg.Connection[tuple[Any, ...]]
Row = tuple[bytes, str, int, bytes]
SIZE = 5


def row(number: int, body: bytes = b"{}") -> Row:
    return (number.to_bytes(16, "big"), "visit", number, body)


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


@pytest.fixture
def admin(postgresql: PostgresqlServer) -> Iterator[Admin]:
    with postgresql.connect() as connection:
        yield connection


@pytest.fixture
def inboxes(postgresql_url: str) -> Iterator[Any]:
    """Open as many as a test wants, each with connections of its own."""
    with ExitStack() as opened:

        def opener() -> PostgresqlInbox:
            inbox = PostgresqlInbox(postgresql_url)
            opened.callback(inbox.close)
            return inbox

        yield opener


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


# ---------------------------------------------------------------------- erasure, damage


def test_an_old_reader_does_not_keep_erased_bytes(
    inboxes: Any, postgresql: PostgresqlServer, postgresql_url: str
) -> None:
    inbox = inboxes()
    secret = b"jane.doe@example.org"
    inbox.append([row(1, b"keep"), row(2, secret)])
    with postgresql.connect() as old:
        old.execute("begin isolation level repeatable read")
        old.execute("select count(*) from pg_class")
        assert inbox.erase([2]) == 1
        assert not postgresql.holds(secret)
    assert list(inbox.append([row(3)])) == [3]
    assert inbox.read(0, 9).column("body").to_pylist() == [b"keep", b"{}"]


def test_statistics_keep_no_values(
    inboxes: Any, postgresql: PostgresqlServer, admin: Admin
) -> None:
    inbox = inboxes()
    inbox.append([row(number, b"jane.doe@example.org") for number in range(50)])
    admin.execute("analyze liftwerk.inbox")
    inbox.erase(range(1, 51))
    assert not postgresql.holds(b"jane.doe@example.org")
    columns = "select attname from pg_stats where schemaname = 'liftwerk' and tablename = 'inbox'"
    assert {name for (name,) in admin.execute(columns)} == {"offset", "name", "received"}


def test_too_much_is_not_rewritten_under_the_writers(
    inboxes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = inboxes()
    inbox.append([row(1, b"x" * 100), row(2, b"x" * 100)])
    monkeypatch.setattr(kind, "REWRITE_MAX", 150)
    with pytest.raises(StoreFault, match="too much to be rewritten"):
        inbox.erase([])
    assert inbox.erase([1]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("with_amcheck", [False, True])
def test_a_damaged_page_is_found(
    inboxes: Any, postgresql: PostgresqlServer, with_amcheck: bool
) -> None:
    inbox = inboxes()
    inbox.append([row(number, b"x" * 500) for number in range(200)])
    with postgresql.connect() as admin:
        if with_amcheck:
            admin.execute("create extension amcheck")
        assert inbox.damage() == []
        [(name,)] = admin.execute("select pg_relation_filepath('liftwerk.inbox')").fetchall()
    postgresql.stop()
    with open(postgresql.data / name, "r+b") as file:
        file.seek(3 * 8192 + 4000)
        file.write(b"y" * 100)
    postgresql.start()
    try:
        [line] = inbox.damage()
        assert line.endswith("liftwerk.inbox: damaged database")
        with pytest.raises(StoreFault, match="damaged database"):
            inbox.read(0, 1000)
    finally:
        with postgresql.connect() as admin:
            admin.execute("drop extension if exists amcheck")


# ---------------------------------------------------------------------- refusals


def test_a_server_that_does_not_sync_is_refused(
    postgresql_url: str, admin: Admin, postgresql: PostgresqlServer
) -> None:
    def fsync() -> str:
        with postgresql.connect() as connection:
            return str(connection.execute("show fsync").fetchall()[0][0])

    try:
        admin.execute("alter system set fsync = off")
        admin.execute("select pg_reload_conf()")
        until(lambda: fsync() == "off")
        with pytest.raises(StoreFault, match="the server runs with fsync = off"):
            PostgresqlInbox(postgresql_url)
    finally:
        admin.execute("alter system reset fsync")
        admin.execute("select pg_reload_conf()")
        until(lambda: fsync() == "on")


def test_a_role_that_commits_asynchronously_is_made_to_wait(
    postgresql_url: str, admin: Admin
) -> None:
    admin.execute("alter role postgres set synchronous_commit = off")
    try:
        inbox = PostgresqlInbox(postgresql_url)
        assert inbox.server.rows("show synchronous_commit") == [("on",)]
        inbox.close()
    finally:
        admin.execute("alter role postgres reset synchronous_commit")


def test_a_role_that_may_only_use_the_tables_can_work(
    inboxes: Any, admin: Admin, postgresql: PostgresqlServer
) -> None:
    admin.execute("set client_min_messages = warning")
    admin.execute("drop role if exists collector")
    admin.execute("create role collector login")
    url = postgresql.url.replace("postgres@", "collector@")
    with pytest.raises(StoreFault, match="this role may not do that"):
        PostgresqlInbox(url)
    inboxes()
    admin.execute("grant usage on schema liftwerk to collector")
    admin.execute("grant select, insert, update on all tables in schema liftwerk to collector")
    inbox = PostgresqlInbox(url)
    assert list(inbox.append(batch(1))) == list(range(1, SIZE + 1))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert inbox.quarantine_put([Rejected("web", at, "not JSON", "", b"{")]) == 1
    with pytest.raises(StoreFault, match="this role may not do that"):
        inbox.scrub()
    inbox.close()
    admin.execute("drop owned by collector")
    admin.execute("drop role collector")


SECRET = "pa55word"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://stranger:{}@/liftwerk?host=HERE", "refuses the role or its password"),
        ("postgresql://postgres:{}@/nowhere?host=HERE", "no such role or database"),
        ("postgresql://ada:{}@127.0.0.1:1/shop", "nothing answers at the host and port"),
        ("postgresql://ada:{}@/shop?host=/nowhere", "nothing answers at the socket"),
        ("postgresql://ada:%zz{}@/shop", "not a URL of PostgreSQL"),
        ("postgresql://ada:a@{}@nowhere.invalid/shop", ": postgresql://…: "),
        ("postgresql://ada:a/{}@nowhere.invalid/shop", ": postgresql://…: "),
        ("postgresql://ada@/shop?password={}&sslmode=x", "the server cannot be reached"),
        ("postgres://ada:{}@db/shop", "did you mean 'postgresql'?"),
        ("host=db password={}", "the URL of the inbox has no scheme"),
    ],
)
def test_no_line_shows_a_password(url: str, says: str, postgresql: PostgresqlServer) -> None:
    filled = url.format(SECRET).replace("HERE", str(postgresql.folder))
    with pytest.raises((StoreFault, UnknownName), match=re.escape(says)) as caught:
        open_url("inbox", INBOXES, filled)
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None


def test_without_the_extra_one_line_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from liftwerk.errors import StoreFault\n"
        "from liftwerk.store.inbox import INBOXES\n"
        "from liftwerk.store.urls import open_url\n"
        "try: open_url('inbox', INBOXES, 'postgresql://ada@db/shop')\n"
        "except StoreFault as fault: print(fault)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip().endswith("pip install 'liftwerk[postgresql]'"), done.stderr
    assert len(done.stdout.splitlines()) == 1
