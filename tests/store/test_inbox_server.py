"""What a server keeps, what is found damaged there, and which servers and roles are refused."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
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

pytestmark = pytest.mark.slow

Admin = psycopg.Connection[tuple[Any, ...]]
Row = tuple[bytes, str, int, bytes]


def row(number: int, body: bytes = b"{}") -> Row:
    return (number.to_bytes(16, "big"), "visit", number, body)


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
    assert list(inbox.append([row(1), row(2)])) == [1, 2]
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
