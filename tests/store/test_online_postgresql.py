"""What only a server brings to the online values: parts, old readers, sessions that are ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from liftwerk.errors import Conflict, StoreFault
from liftwerk.store.online import Changes
from liftwerk.store.online.kinds.postgresql import PARTS, PostgresqlOnline
from tests.postgresql import PostgresqlServer, until

pytestmark = pytest.mark.slow

Admin = psycopg.Connection[tuple[Any, ...]]
AT = datetime(2026, 3, 4, tzinfo=UTC)
SECRET = b"jane.doe@example.org"


@pytest.fixture
def online(postgresql_url: str) -> Iterator[PostgresqlOnline]:
    opened = PostgresqlOnline(postgresql_url)
    yield opened
    opened.close()


def files(admin: Admin) -> dict[str, int]:
    """Return part -> the file that it is in."""
    sql = (
        "select relid::text, pg_relation_filenode(relid)"
        " from pg_partition_tree('liftwerk.online') where isleaf"
    )
    return dict(admin.execute(sql).fetchall())  # type: ignore[arg-type]


def test_an_erasure_rewrites_the_parts_of_its_keys_only(
    online: PostgresqlOnline, admin: Admin
) -> None:
    keys = [b"%d" % number for number in range(400)]
    online.apply({"crm": Changes(None, [(key, b"x") for key in keys])}, 1, AT)
    sql = "select tableoid::regclass::text, key from liftwerk.online"
    part_of = {key: part for part, key in admin.execute(sql, binary=True)}
    assert len(set(part_of.values())) == PARTS
    before = files(admin)
    assert online.erase([keys[0], keys[1]]) == 2
    after = files(admin)
    assert {part for part in before if before[part] != after[part]} == {
        part_of[keys[0]],
        part_of[keys[1]],
    }


def test_an_old_reader_does_not_keep_erased_bytes(
    online: PostgresqlOnline, postgresql: PostgresqlServer
) -> None:
    online.apply({"crm": Changes(None, [(b"jane", SECRET), (b"joe", b"keep")])}, 1, AT)
    with postgresql.connect() as old:
        old.execute("begin isolation level repeatable read")
        old.execute("select count(*) from pg_class")
        assert online.erase([b"jane"]) == 1
        assert not postgresql.holds(SECRET)
    assert online.get("crm", [b"jane", b"joe"])[0] == [None, b"keep"]


def test_statistics_keep_no_values(
    online: PostgresqlOnline, postgresql: PostgresqlServer, admin: Admin
) -> None:
    keys = [SECRET + b"%d" % number for number in range(50)]
    online.apply({"crm": Changes(None, [(key, SECRET) for key in keys])}, 1, AT)
    admin.execute("analyze liftwerk.online")
    online.erase(keys)
    assert not postgresql.holds(SECRET)


def test_no_statement_carries_a_body(
    online: PostgresqlOnline, postgresql: PostgresqlServer, admin: Admin
) -> None:
    admin.execute("alter system set log_min_duration_statement = 0")
    admin.execute("select pg_reload_conf()")
    try:
        online.apply({"crm": Changes(None, [(b"jane", SECRET)])}, 1, AT)
        log = postgresql.folder / "log"
        until(lambda: "copy pg_temp.online_new" in log.read_text())
        assert SECRET not in log.read_bytes()
        assert SECRET.hex() not in log.read_text()
    finally:
        admin.execute("alter system reset log_min_duration_statement")
        admin.execute("select pg_reload_conf()")


def test_who_lost_the_connection_while_committing_can_ask_again(
    online: PostgresqlOnline, admin: Admin
) -> None:
    progress = online.apply({"crm": Changes(None, [(b"n", b"1")])}, 1, AT)

    def puts() -> Iterator[tuple[bytes, bytes]]:
        yield b"n", b"2"
        sql = (
            "select pg_terminate_backend(pid, 30000) from pg_stat_activity"
            " where application_name = 'liftwerk' and backend_xid is not null"
        )
        admin.execute(sql)
        yield b"m", b"2"

    with pytest.raises(StoreFault, match="may or may not be stored"):
        online.apply({"crm": Changes(progress, puts())}, 2, AT)
    assert online.get("crm", [b"n", b"m"]) == ([b"1", None], progress)
    online.apply({"crm": Changes(progress, [(b"n", b"2")])}, 2, AT)
    with pytest.raises(Conflict):  # and had it been stored after all
        online.apply({"crm": Changes(progress, [(b"n", b"2")])}, 2, AT)


def test_what_a_crash_of_the_server_leaves_is_one_offset(
    online: PostgresqlOnline, postgresql: PostgresqlServer
) -> None:
    progress = None
    for offset in range(1, 6):
        puts = [(b"%d" % number, b"%d" % offset) for number in range(50)]
        progress = online.apply({"crm": Changes(progress, puts)}, offset, AT)
    postgresql.stop("immediate")
    postgresql.start()
    assert online.progress("crm") == progress
    assert {row.body for row in online.rows("crm")} == {b"5"}
    assert online.damage() == []
