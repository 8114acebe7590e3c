"""What is read behind the snapshot, whenever the sequencer moves it on."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import relations
from liftwerk.events.tail import Behind, Tail
from liftwerk.store.stores import Stores
from tests.events.shop import NOW, event, granted, order, put
from tests.events.shop import shop as shop_with

BOB = {"email": "bob@example.com"}
ADA_KEY = leaf_key("email", "ada@example.com")
BOB_KEY = leaf_key("email", "bob@example.com")
VIEWS = "page_viewed_v1"


def seen(
    project: Project,
    stores: Stores,
    purpose: str = "audit",
    name: str = "page_viewed",
    **how: Any,
) -> list[int]:
    with relations(project, stores, purpose, names=[name], **how) as connection:
        rows = connection.sql(f'SELECT id FROM {name} ORDER BY "offset"').fetchall()
    return [int.from_bytes(row, "big") for (row,) in rows]


def behind(tail: Tail, **how: Any) -> Behind:
    with tail.reading(**how) as found:
        return found


def offsets(found: Behind, table: str = VIEWS) -> list[int]:
    if table not in found.tables:
        return []
    listed: list[int] = found.tables[table].column("offset").to_pylist()
    return listed


def test_it_holds_what_the_snapshot_does_not(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, event(number=1), event(number=2))
    tail = Tail(shop, stores)
    found = behind(tail)
    assert (found.snapshot, found.offset, offsets(found)) == (None, 2, [1, 2])
    compact(shop, stores, clock)
    put(shop, stores, event(number=3), order(4))
    with tail.reading() as found:
        assert (found.since, found.offset, offsets(found)) == (2, 4, [3])
        assert seen(shop, stores, tail=found) == [1, 2, 3]
    assert seen(shop, stores) == [1, 2]


def test_its_rows_are_those_of_the_tables(shop: Project, stores: Stores, clock: FixedClock) -> None:
    items = [{"sku": "a", "quantity": 2, "price": "0.07"}]
    told = order(1, properties={"items": items}, consent=granted("ads"), context={"page": "/"})
    put(shop, stores, told, event("rated", 2, properties={"stars": 3, "tags": ["a"]}))
    rows = {name: table.to_pylist() for name, table in behind(Tail(shop, stores)).tables.items()}
    done = compact(shop, stores, clock)
    assert done.snapshot is not None
    assert set(rows) == {"order_completed_v2", "rated_v1"}
    for name, found in rows.items():
        files = stores.tables.files(name, done.snapshot.tables[name])
        kept = pa.parquet.read_table(files, partitioning=None)
        assert kept.to_pylist() == found


def test_one_id_is_one_event(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, event(number=1))
    compact(shop, stores, clock)
    tail = Tail(shop, stores)
    put(shop, stores, event(number=1), event(number=2), event(number=2, session="other"))
    assert offsets(behind(tail)) == [3]
    # Against what the tail holds already, and against the tables.
    put(shop, stores, event(number=2), event(number=3), event(number=1, session="other"))
    found = behind(tail)
    assert (offsets(found), found.offset) == ([3, 6], 7)
    # When the snapshot has moved on, the tables know them.
    compact(shop, stores, clock)
    put(shop, stores, event(number=2), event(number=3), event(number=4))
    assert offsets(behind(tail)) == [10]


def test_ids_that_come_late_to_their_snapshot_are_known(
    shop: Project, stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shop, stores, event(number=1))
    compact(shop, stores, clock)
    tail = Tail(shop, stores)
    put(shop, stores, event(number=2), event(number=3))
    behind(tail)
    with monkeypatch.context() as dying:
        dying.setattr(stores.ids, "add", lambda *_: None)  # as if killed just before
        compact(shop, stores, clock)
    put(shop, stores, event(number=1), event(number=2), event(number=4))
    for reader in (tail, Tail(shop, stores)):
        assert offsets(behind(reader)) == [6]
    compact(shop, stores, clock)
    put(shop, stores, event(number=3), event(number=5))
    assert offsets(behind(tail)) == [8]


def test_it_is_taken_in_bit_by_bit_and_not_without_end(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, *(event(number=number) for number in range(1, 8)))
    tail = Tail(shop, stores, most=5)
    assert [behind(tail, limit=2).offset for _ in range(4)] == [2, 4, 5, 5]
    compact(shop, stores, clock)
    assert behind(tail).offset == 7
    put(shop, stores, event(number=8))
    assert offsets(behind(tail)) == [8]


def test_many_small_parts_become_one(shop: Project, stores: Stores) -> None:
    put(shop, stores, *(event(number=number) for number in range(1, 41)))
    tail = Tail(shop, stores)
    found = [behind(tail, limit=1) for _ in range(40)][-1]
    assert offsets(found) == list(range(1, 41))
    assert found.tables[VIEWS].column("id").num_chunks < 40


def test_versions_that_are_not_declared_are_left_out(stores: Stores) -> None:
    old = shop_with()
    put(old, stores, order(1), event(number=2))
    values = {"page_viewed": {"version": 1, "description": "A page"}}
    found = behind(Tail(shop_with(events=values), stores))
    assert {name: table.num_rows for name, table in found.tables.items()} == {VIEWS: 1}
    assert found.offset == 2


def test_who_is_buried_is_in_no_tail(shop: Project, stores: Stores) -> None:
    put(shop, stores, event(number=1), event(number=2, identifiers=BOB))
    tail = Tail(shop, stores)
    assert offsets(behind(tail)) == [1, 2]
    put(shop, stores, event(number=3), event(number=4, identifiers=BOB))
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.bury(change, [BOB_KEY])
    for reader in (tail, Tail(shop, stores)):
        assert offsets(behind(reader)) == [1, 3]


def test_a_withdrawal_in_the_tail_reaches_the_tables(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    yes = granted("personalisation")
    put(shop, stores, event(number=1, consent=yes), event(number=2, consent=yes, identifiers=BOB))
    compact(shop, stores, clock)
    gone = {"granted": [], "withdrawn": ["personalisation"]}
    put(
        shop,
        stores,
        event("consent_changed", 3, time="2026-02-02T00:00:00Z", properties=gone),
        event(number=4, consent=yes),
    )
    with Tail(shop, stores).reading() as found:
        assert seen(shop, stores, "personalisation", tail=found) == [2]
        for limit in ({"after_offset": 2}, {"leaves": pa.array([ADA_KEY])}):
            assert seen(shop, stores, "personalisation", tail=found, **limit) == []
    assert seen(shop, stores, "personalisation") == [1, 2]


def test_the_best_report_counts_wherever_it_is(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    device = {"device": "d"}
    put(shop, stores, order(1, identifiers=device), order(2, "o2"), source="web")
    compact(shop, stores, clock)
    put(shop, stores, order(3))
    put(shop, stores, order(4, "o2"), source="web")
    name = "order_completed"
    with Tail(shop, stores).reading() as found:
        assert seen(shop, stores, "measurement", name, tail=found) == [2, 3]
        # Among those behind an offset, or of a leaf, only what counts among all of them.
        assert seen(shop, stores, "measurement", name, tail=found, after_offset=2) == [3]
        only = {"leaves": pa.array([leaf_key("device", "d")])}
        assert seen(shop, stores, "measurement", name, tail=found, **only) == []
        every = {"tail": found, "superseded": True, "names": [name], "after_offset": 2}
        with relations(shop, stores, "measurement", **every) as connection:
            rows = connection.sql(
                f'SELECT "offset", superseded_by FROM {name} ORDER BY "offset"'
            ).fetchall()
    by = [None if one is None else int.from_bytes(one, "big") for _, one in rows]
    assert list(zip((offset for offset, _ in rows), by, strict=True)) == [
        (1, 3), (2, None), (3, None), (4, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_few_rows_are_those_of_all_rows(
    seed: int, shop: Project, stores: Stores, clock: FixedClock
) -> None:
    draw = random.Random(seed)
    people = [{"email": f"p{n}@x.org"} for n in range(3)] + [{"device": f"d{n}"} for n in range(3)]
    told = []
    for number in range(1, 61):
        who = draw.choice([*people, {**people[0], **people[3]}, {**people[1], **people[4]}])
        consent = granted(*draw.sample(["ads", "personalisation"], draw.randrange(3)))
        fields = {"identifiers": who, "consent": consent, "synthetic": draw.random() < 0.1}
        make = draw.choice([event, lambda n, **more: order(n, draw.choice("abcdefgh"), **more)])
        told.append(make(number=number, **fields) if make is event else make(number, **fields))
    split = draw.randrange(10, 50)
    for place, one in enumerate(told):
        put(shop, stores, one, source=draw.choice(["web", "till"]))
        if place in (split - 5, split):
            compact(shop, stores, clock)
    keys = [leaf_key(space, value) for who in people for space, value in who.items()]
    with Tail(shop, stores).reading() as found:
        for name, purpose, superseded in itertools.product(
            ("page_viewed", "order_completed"), ("ads", "audit"), (False, True)
        ):
            leaves = draw.choice([None, draw.sample(keys, 2)])
            after = draw.choice([None, draw.randrange(60), split + 2])
            with relations(
                shop, stores, purpose, names=[name], superseded=superseded, tail=found
            ) as connection:
                every = connection.sql(f'SELECT * FROM {name} ORDER BY "offset"').to_arrow_table()
            asked = None if leaves is None else pa.array(leaves, pa.binary())
            with relations(
                shop,
                stores,
                purpose,
                names=[name],
                superseded=superseded,
                tail=found,
                leaves=asked,
                after_offset=after,
            ) as connection:
                few = connection.sql(f'SELECT * FROM {name} ORDER BY "offset"').to_arrow_table()
            assert few.to_pylist() == chosen(every.to_pylist(), leaves, after, superseded)


def chosen(
    rows: list[dict[str, Any]], leaves: list[bytes] | None, after: int | None, superseded: bool
) -> list[dict[str, Any]]:
    """Choose among all rows by what the documentation says."""
    if after is not None:
        new = [row for row in rows if row["offset"] > after]
        keys = {(row.get("order_id"), row["synthetic"]) for row in new if superseded}
        keys -= {(None, False), (None, True)}
        rows = [
            row for row in rows if row in new or (row.get("order_id"), row["synthetic"]) in keys
        ]
    if leaves is not None:
        rows = [row for row in rows if {row["leaf_email"], row["leaf_device"]} & {*leaves}]
    return rows


# --------------------------------------------------------------------- beside a real sequencer


def test_the_sequencer_may_move_on_at_any_moment(
    shop: Project, stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compaction right before or right after each look that a reading takes."""
    looks = [(stores.inbox, "read"), (stores.ledger, "latest_snapshot"), (stores.ids, "find")]
    numbers = itertools.count(1)
    tail = Tail(shop, stores)
    visited = set()
    for (store, look), call, is_before in itertools.product(looks, range(3), (True, False)):
        put(shop, stores, *(event(number=next(numbers)) for _ in range(3)), event(number=1))
        behind(tail, limit=2)
        last = stores.inbox.last_offset()
        real: Callable[..., Any] = getattr(store, look)
        calls = itertools.count()

        def between(
            *args: Any,
            real: Callable[..., Any] = real,
            calls: Any = calls,
            call: int = call,
            is_before: bool = is_before,
            place: tuple[str, int] = (look, call),
            store: Any = store,
            look: str = look,
        ) -> Any:
            is_it = next(calls) == call
            if is_it:
                monkeypatch.setattr(store, look, real)
                visited.add(place)
            if is_it and is_before:
                compact(shop, stores, clock)
            found = real(*args)
            if is_it and not is_before:
                compact(shop, stores, clock)
            return found

        monkeypatch.setattr(store, look, between)
        with tail.reading() as found:
            monkeypatch.setattr(store, look, real)
            assert seen(shop, stores, tail=found) == list(range(1, expected_of(found.offset) + 1))
            assert found.offset == last
    assert {("read", 0), ("latest_snapshot", 0), ("latest_snapshot", 2), ("find", 0)} <= visited


def expected_of(offset: int) -> int:
    """Return how many are new up to an offset, of which each fourth was there before."""
    return offset - offset // 4


def test_a_reader_beside_the_sequencer_sees_each_event_once(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    draw = random.Random(1)
    numbers: list[int] = []
    for number in range(1, 81):
        numbers.append(number)
        if draw.random() < 0.3:
            numbers.append(draw.randrange(1, number + 1))
    news = [numbers[:offset] for offset in range(len(numbers) + 1)]
    wrong: list[BaseException] = []

    def sequence() -> None:
        try:
            rest = list(numbers)
            while rest:
                many = draw.randrange(1, 12)
                put(shop, stores, *(event(number=number) for number in rest[:many]))
                rest = rest[many:]
                compact(shop, stores, clock)
        except BaseException as error:
            wrong.append(error)

    tail = Tail(shop, stores)
    thread = threading.Thread(target=sequence)
    thread.start()
    states = set()
    try:
        while True:
            is_over = not thread.is_alive()
            with tail.reading(limit=draw.choice([1, 5, 100])) as found:
                assert seen(shop, stores, tail=found) == sorted(set(news[found.offset]))
                states.add((found.since, found.offset))
            if is_over:
                break
    finally:
        thread.join()
    assert wrong == []
    assert found.offset == len(numbers)
    assert len(states) > 5
    assert any(since < offset for since, offset in states)
