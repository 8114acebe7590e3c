from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.read import identifier_values, read
from liftwerk.events.retain import expired, retain
from liftwerk.events.state import has_same_rows
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import SHOP, event, order, put

OLD, RECENT = "2025-01-31T12:00:00Z", "2026-02-20T12:00:00Z"


@pytest.fixture(scope="module")
def kept() -> Project:
    """The shop, with page views kept for a year and the items of an order for a month."""
    events: dict[str, Any] = {name: dict(one) for name, one in SHOP["events"].items()}
    events["page_viewed"]["retention"] = "1 year"
    properties = {name: dict(one) for name, one in events["order_completed"]["properties"].items()}
    properties["items"]["retention"] = "1 month"
    properties["discount"]["retention"] = "30 days"
    events["order_completed"]["properties"] = properties
    return shops.shop(events=events)


@pytest.fixture
def full(kept: Project, stores: Stores, clock: FixedClock) -> Stores:
    items = [{"sku": "a", "quantity": 1, "price": "1.00"}]
    bought = {"items": items, "discount": "-1.00"}
    put(
        kept,
        stores,
        event(number=1, time=OLD, identifiers={"email": "ada@example.com"}),
        event(number=2, time=RECENT, identifiers={"email": "bob@example.com"}),
        order(3, "o-3", time=OLD, identifiers={"email": "bob@example.com"}, properties=bought),
        order(4, "o-4", time=RECENT, identifiers={"email": "bob@example.com"}, properties=bought),
    )
    compact(kept, stores, clock)
    return stores


def test_what_is_too_old_goes_by_event_and_by_property(
    kept: Project, full: Stores, clock: FixedClock
) -> None:
    due = expired(kept, full, clock.now())
    assert [(one.event, one.property, one.kept, one.rows) for one in due] == [
        ("page_viewed", None, "1 year", 1),
        ("order_completed", "discount", "30 days", 1),
        ("order_completed", "items", "1 month", 1),
    ]
    assert retain(kept, full, clock) == due
    views = read(kept, full, "page_viewed", "audit", ["time"]).to_pylist()
    assert [row["time"].isoformat()[:10] for row in views] == ["2026-02-20"]
    columns = ["order_id", "items", "discount", "discount_currency"]
    first, second = read(kept, full, "order_completed", "audit", columns).to_pylist()
    assert first == {"order_id": "o-3", "items": None, "discount": None, "discount_currency": None}
    assert (second["order_id"], second["discount"], len(second["items"])) == ("o-4", -100, 1)
    # Of Ada there is no event left, so nothing says any more who she was.
    assert identifier_values(kept, full, "audit").column("value").to_pylist() == ["bob@example.com"]
    entry = full.ledger.audit()[-1]
    assert (entry.action, entry.detail) == (
        "events.retain",
        {"page_viewed": 1, "order_completed.discount": 1, "order_completed.items": 1},
    )


def test_again_at_the_same_time_nothing_goes(
    kept: Project, full: Stores, clock: FixedClock
) -> None:
    retain(kept, full, clock)
    snapshot = full.ledger.latest_snapshot()
    assert retain(kept, full, clock) == []
    assert full.ledger.latest_snapshot() == snapshot


def test_it_goes_by_the_clock(kept: Project, full: Stores, clock: FixedClock) -> None:
    retain(kept, full, clock)
    later = FixedClock(clock.now() + timedelta(days=400))
    assert {(one.event, one.property) for one in retain(kept, full, later)} == {
        ("page_viewed", None),
        ("order_completed", "discount"),
        ("order_completed", "items"),
    }
    assert read(kept, full, "page_viewed", "audit").num_rows == 0
    assert read(kept, full, "order_completed", "audit").num_rows == 2


def test_old_rows_are_in_no_file(
    kept: Project, full: Stores, clock: FixedClock, tmp_path: Path
) -> None:
    retain(kept, full, clock)
    for path in tmp_path.rglob("month=*/*.parquet"):
        table = pyarrow.parquet.read_table(path, partitioning=None)
        if "page_viewed" in path.as_posix():
            assert "month=2025-01" not in path.as_posix()
        if "discount" in table.column_names and "month=2025-01" in path.as_posix():
            assert table.column("discount").null_count == table.num_rows


def test_without_a_declaration_all_stays(shop: Project, stores: Stores, clock: FixedClock) -> None:
    put(shop, stores, event(number=1, time="1999-01-01T00:00:00Z"))
    compact(shop, stores, clock)
    assert retain(shop, stores, clock) == []
    assert read(shop, stores, "page_viewed", "audit").num_rows == 1


def test_a_snapshot_that_rows_were_taken_out_of_does_not_go_on_from_the_one_before(
    kept: Project, stores: Stores, clock: FixedClock
) -> None:
    snapshots = [stores.ledger.latest_snapshot()]
    for number, time in enumerate((OLD, RECENT, RECENT)):
        put(kept, stores, event(number=number, time=time))
        compact(kept, stores, clock)
        snapshots.append(stores.ledger.latest_snapshot())
        if number == 1:
            assert retain(kept, stores, clock)
            snapshots.append(stores.ledger.latest_snapshot())
    nothing, first, second, without, last = snapshots

    def is_same(one: Snapshot | None, other: Snapshot | None) -> bool:
        found = [has_same_rows(stores.ledger, *pair) for pair in ((one, other), (other, one))]
        assert found[0] == found[1]
        return found[0]

    assert is_same(first, second)
    assert is_same(without, last)
    assert is_same(last, last)
    assert not is_same(nothing, first)
    assert not is_same(second, without)
    assert not is_same(second, last)
    assert not is_same(first, last)
