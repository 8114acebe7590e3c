"""A machine's clock that is set back or ahead while events come in: their order is the log's."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.collect import Collector
from liftwerk.events.compact import compact
from liftwerk.events.read import read
from liftwerk.store.stores import Stores
from tests.events.shop import event, granted

JUMPS = [timedelta(0), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1)]


def collect(collector: Collector, *events: dict[str, object]) -> None:
    bodies = [msgspec.json.encode(one) for one in events]
    done = asyncio.run(collector.collect(bodies, "web"))
    assert (done.accepted, done.refused) == (len(events), [])


def test_offsets_order_what_a_jumping_clock_does_not(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    collector = Collector(shop, stores, clock)
    for number, jump in enumerate(JUMPS):
        clock.advance(jump)
        collect(collector, event("page_viewed", number), event("page_viewed", 0))
        if number == 2:
            compact(shop, stores, clock)  # what was sorted while the clock was ahead stays sorted
    collector.close()
    compact(shop, stores, clock)
    rows = read(shop, stores, "page_viewed", "audit", ["id", "offset", "received"]).to_pylist()
    assert [row["id"][-1] for row in rows] == [0, 1, 2, 3]
    assert [row["offset"] for row in rows] == sorted(row["offset"] for row in rows)
    received = [row["received"] - rows[0]["received"] for row in rows]
    assert received[1] < received[0] < received[2]
    assert stores.inbox.count() == 0


def test_a_withdrawal_is_heard_though_the_clock_was_set_back(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    collector = Collector(shop, stores, clock)
    collect(collector, event("page_viewed", 1, consent=granted("ads")))
    compact(shop, stores, clock)
    assert read(shop, stores, "page_viewed", "ads", ["id"]).num_rows == 1
    clock.advance(timedelta(hours=-1))
    changed = {"granted": [], "withdrawn": ["ads"]}
    collect(collector, event("consent_changed", 2, properties=changed))
    collector.close()
    compact(shop, stores, clock)
    assert read(shop, stores, "page_viewed", "ads", ["id"]).num_rows == 0
