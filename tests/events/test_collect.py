"""What a source sends is durable, or refused by name; one process's way into the inbox."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project, load
from liftwerk.definitions.typed import Rate
from liftwerk.errors import Overloaded, StoreFault, Throttled
from liftwerk.events.collect import Collector
from liftwerk.events.compact import compact
from liftwerk.events.group_commit import GroupCommit
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read
from liftwerk.events.skew import happened, happened_sql
from liftwerk.events.throttle import Throttle
from liftwerk.sections import SECTIONS
from liftwerk.store.inbox.kinds.sqlite import SqliteInbox
from liftwerk.store.inbox.protocol import InboxRow
from liftwerk.store.outbox.kinds.sqlite import SqliteOutbox
from liftwerk.store.stores import Stores

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copy(Path(__file__).with_name("collecting.toml"), tmp_path / "liftwerk.toml")
    return load(tmp_path, SECTIONS)


@pytest.fixture
def collector(project: Project, stores: Stores) -> Iterator[Collector]:
    one = Collector(project, stores, FixedClock(AT))
    yield one
    one.close()


def view(number: int = 0, **parts: Any) -> bytes:
    event = {
        "id": str(uuid.UUID(int=number + 1, version=4)),
        "name": "page_viewed",
        "version": 1,
        "time": AT.isoformat(),
        "identifiers": {"visitor": f"v{number}"},
        "consent": {"granted": ["measurement"], "source": "api"},
        "properties": {"path": "/"},
        **parts,
    }
    return json.dumps(event).encode()


def take(collector: Collector, bodies: list[bytes], source: str = "web", agent: str = "") -> Any:
    return asyncio.run(collector.collect(bodies, source, agent))


def test_accepted_is_durable_and_refused_is_named_and_kept(
    collector: Collector, stores: Stores
) -> None:
    done = take(collector, [view(0), b"{}", view(1, properties={"path": 3}), b"nonsense", view(2)])
    assert done.accepted == 2
    assert [(one.index, one.path) for one in done.refused] == [
        (1, "$.name"),
        (2, "$.properties.path"),
        (3, "$"),
    ]
    assert stores.inbox.count() == 2
    assert sum(stores.inbox.quarantine_count().values()) == 3
    assert [one.rejected.body for one in stores.inbox.quarantine_list()][2] == b"nonsense"


def test_dry_answers_alike_and_stores_nothing(project: Project, stores: Stores) -> None:
    dry = Collector(project, stores, FixedClock(AT), dry=True)
    done = take(dry, [view(0), b"{}"])
    dry.close()
    assert (done.accepted, len(done.refused)) == (1, 1)
    assert stores.inbox.count() == 0
    assert stores.inbox.quarantine_list() == []


def test_bots_are_left_out_where_the_source_says_so(collector: Collector, stores: Stores) -> None:
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    assert take(collector, [view(0)], "web", agent).filtered == 1
    assert take(collector, [view(0)], "web", "Mozilla/5.0 Firefox/140.0").accepted == 1
    assert take(collector, [view(1)], "shop", "curl/8.0").accepted == 1
    assert stores.inbox.count() == 2


def test_a_sample_keeps_whole_customers_and_weighs_them(
    collector: Collector, stores: Stores, project: Project
) -> None:
    events = [view(n, id=str(uuid.uuid4()), identifiers={"visitor": f"v{n % 400}"})
              for n in range(1200)]  # fmt: skip
    done = take(collector, events, "sampled")
    assert done.accepted + done.filtered == 1200
    assert 220 < done.accepted < 380  # 300 expected, in threes: 4 standard errors are 104
    compact(project, stores, FixedClock(AT))
    rows = read(project, stores, "page_viewed", "measurement", ["leaf_visitor", "weight"])
    kept = rows.group_by("leaf_visitor").aggregate([("weight", "count")])
    assert set(kept.column("weight_count").to_pylist()) == {3}
    assert set(rows.column("weight").to_pylist()) == {4.0}


def test_a_source_may_send_only_so_fast(collector: Collector, stores: Stores) -> None:
    assert take(collector, [view(n) for n in range(10)], "slow").accepted == 10
    with pytest.raises(Throttled, match=r"sources\.slow\.rate_limit") as told:
        take(collector, [view(n) for n in range(10, 20)], "slow")
    assert 0 < told.value.retry_after <= 1.0
    assert stores.inbox.count() == 10


def test_an_erased_customer_is_not_heard_again_and_nobody_is_told(
    project: Project, stores: Stores
) -> None:
    with stores.ledger.change("dpo", "erase", "x", {}, AT) as change:
        stores.ledger.bury(change, [leaf_key("visitor", "v1")])
    collector = Collector(project, stores, FixedClock(AT))
    done = take(collector, [view(0), view(1)])
    assert (done.accepted, done.refused) == (2, [])
    assert stores.inbox.count() == 1
    # What is refused is told as ever, and kept of the others alone.
    again = take(collector, [view(number, properties={"path": 7}) for number in (0, 1)])
    collector.close()
    assert [one.index for one in again.refused] == [0, 1]
    [kept] = stores.inbox.quarantine_list()
    assert b'"v0"' in kept.rejected.body


def test_what_lies_ahead_is_refused_unless_the_clock_was_wrong(
    collector: Collector, project: Project, stores: Stores
) -> None:
    future = AT + timedelta(days=365 * 50)
    alone = view(0, time=future.isoformat())
    with_clock = view(1, time=future.isoformat(), sent_at=(future + timedelta(hours=1)).isoformat())
    done = take(collector, [alone, with_clock])
    assert [one.path for one in done.refused] == ["$.time"]
    compact(project, stores, FixedClock(AT))
    rows = read(project, stores, "page_viewed", "measurement", ["time"])
    assert rows.column("time").to_pylist() == [AT - timedelta(hours=1)]


def test_a_retry_with_another_clock_is_the_same_event(
    collector: Collector, project: Project, stores: Stores
) -> None:
    for wait in (0, 40):
        sent = AT + timedelta(hours=2, seconds=wait)
        take(collector, [view(0, sent_at=sent.isoformat())])
    assert compact(project, stores, FixedClock(AT)).duplicates == 1
    assert stores.inbox.quarantine_list() == []


INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@given(time=INSTANTS, sent=st.none() | INSTANTS, received=INSTANTS,
       trust=st.sampled_from(["browser", "server", "partner", "import"]))  # fmt: skip
def test_the_corrected_time_is_one_rule_in_python_and_sql(
    time: datetime, sent: datetime | None, received: datetime, trust: str
) -> None:
    def sql(at: datetime | None) -> str:
        return "NULL::TIMESTAMPTZ" if at is None else f"TIMESTAMPTZ '{at.isoformat()}'"

    expression = happened_sql(sql(time), sql(sent), sql(received), f"'{trust}'")
    [(answer,)] = duckdb.sql(f"SELECT epoch_us({expression})").fetchall()
    expected = happened(time, sent, received, trust)
    assert answer == (expected - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0.0, 3.0)), min_size=1, max_size=60))
def test_no_stretch_of_time_gets_more_than_its_rate_and_a_burst(calls: Any) -> None:
    throttle = Throttle(Rate("20/s"))
    now, taken = 0.0, []
    for events, pause in calls:
        now += pause
        if throttle.wait(events, now) == 0.0:
            taken.append((now, events))
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            within = taken[last][0] - taken[first][0]
            # The last may be larger than the bucket, which is paid for afterwards.
            events = sum(many for _, many in taken[first:last])
            assert events <= 20 * within + 20 + 50 + 1e-6


def test_many_requests_share_a_transaction(tmp_path: Path) -> None:
    inbox = CountingInbox(tmp_path / "inbox.sqlite")
    outbox = SqliteOutbox(tmp_path / "outbox.sqlite")
    group = GroupCommit(inbox, outbox)

    async def bring() -> None:
        rows = [[InboxRow(uuid.uuid4().bytes, "visit", 0, b"{}")] for _ in range(500)]
        await asyncio.gather(*[group.append(one, [], 2) for one in rows])

    asyncio.run(bring())
    group.close()
    assert inbox.count() == 500
    assert inbox.transactions < 100
    inbox.close()
    outbox.close()


def test_what_waits_is_bounded_and_nothing_of_the_rest_is_taken(tmp_path: Path) -> None:
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    outbox = SqliteOutbox(tmp_path / "outbox.sqlite")
    group = GroupCommit(inbox, outbox, waiting_bytes=1000)

    async def bring() -> list[Any]:
        rows = [InboxRow(bytes(16), "visit", 0, b"x" * 400)]
        tasks = [group.append(rows, [], 400) for _ in range(50)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(bring())
    group.close()
    told = [one for one in answers if isinstance(one, Overloaded)]
    assert told
    assert inbox.count() == 50 - len(told)
    assert group.waiting == 0
    inbox.close()
    outbox.close()


def test_a_full_disk_is_told_to_everybody_who_waits_and_it_goes_on_afterwards(
    project: Project, stores: Stores
) -> None:
    collector = Collector(project, stores, FixedClock(AT))
    assert isinstance(stores.inbox, SqliteInbox)
    database = stores.inbox.database
    [(pages,)] = database.rows("pragma page_count")

    async def fill() -> list[Any]:
        # Of the connection that the collector's thread writes by.
        huge = [[view(n, properties={"path": "/" * 90_000})] for n in range(40)]
        return await asyncio.gather(
            *[collector.collect(one, "shop") for one in huge], return_exceptions=True
        )

    limit = f"pragma max_page_count={pages + 20}"
    stores.inbox.database = LimitedDatabase(database, limit)  # type: ignore[assignment]
    answers = asyncio.run(fill())
    assert any(isinstance(one, StoreFault) for one in answers)
    accepted = sum(one.accepted for one in answers if not isinstance(one, Exception))
    assert stores.inbox.count() == accepted
    stores.inbox.database = LimitedDatabase(database, "pragma max_page_count=1000000")  # type: ignore[assignment]
    assert take(collector, [view(100)], "shop").accepted == 1
    collector.close()
    stores.inbox.database = database
    assert stores.inbox.count() == accepted + 1
    assert stores.inbox.damage() == []


class CountingInbox(SqliteInbox):
    """Counts its transactions."""

    transactions = 0

    def append(self, rows: Any) -> range:
        self.transactions += 1
        return super().append(rows)


class LimitedDatabase:
    """The same database, whose every connection is first told how large its file may become."""

    def __init__(self, database: Any, limit: str) -> None:
        self._database = database
        self._limit = limit

    def transaction(self) -> Any:
        self._database.rows(self._limit)
        return self._database.transaction()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
