"""Items of a list are events of their own, in the order in which they stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from liftwerk.clock import FixedClock
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.as_of import current
from liftwerk.features.recompute import Question, recompute
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events import shop as shops
from tests.events.shop import event, order, put

AT = datetime(2026, 2, 1, 12, tzinfo=UTC)
ADA = leaf_key("email", "ada@example.com")
ORDERS = {"entity": "customer", "from": "order_completed"}
RATED = {"entity": "customer", "from": "rated"}
FEATURES = {
    "orders": {**ORDERS, "aggregate": "count"},
    "first_item": {**ORDERS, "aggregate": "first", "unnest": "items", "property": "items.sku"},
    "last_item": {**ORDERS, "aggregate": "last", "unnest": "items", "property": "items.sku"},
    "last_price": {
        **ORDERS,
        "aggregate": "last",
        "unnest": "items",
        "property": "items.price",
        "window": "2d",
        "hop": "1h",
    },
    "last_tag": {**RATED, "aggregate": "last", "unnest": "tags", "property": "tags"},
    "times_bought": {**RATED, "aggregate": "distinct", "property": "bought"},
}
WANTED = {
    "orders": 2.0,
    "first_item": "b",
    "last_item": "a",
    "last_price": 0.5,
    "last_tag": "m",
    "times_bought": 1.0,
}


def test_items_are_ordered_as_they_stand(tmp_path: Path) -> None:
    """Whole events and their items are read together, by every way."""
    view = {"purpose": "accounting", "features": list(FEATURES)}
    shop = shops.shop(features=FEATURES, feature_views={"kept": view})
    items = [
        {"sku": sku, "quantity": 1, "price": price}
        for sku, price in (("b", "1.00"), ("c", "2.00"), ("a", "0.50"))
    ]
    rated = {"stars": 3, "tags": ["z", "m"], "bought": "2026-01-31T09:00:00Z"}
    both = {"email": "ada@example.com", "device": "d1"}
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        events = (
            order(1, "x", properties={"items": items}, identifiers=both),
            order(2, "y", properties={"items": []}),
            event("rated", 3, properties=rated),
        )
        assert put(shop, stores, *events, at=AT) == []
        Updater(shop, stores, FixedClock(AT)).catch_up()
        now = AT + timedelta(hours=1)
        served = Server(shop, stores, "kept", FixedClock(now)).get(ADA)
        compact(shop, stores, FixedClock(AT))
        read = current(shop, stores, [ADA], list(FEATURES), "accounting", now)
        again = recompute(
            shop, stores, [Question((ADA,), now)], list(FEATURES), "accounting", served.offset
        )
    assert served.values == WANTED
    assert read.select(list(FEATURES)).to_pylist() == [WANTED]
    assert again.to_pylist() == [WANTED]
