"""What views take is said before it is done: rows that are sorted, and rows that wait."""

from __future__ import annotations

from pathlib import Path

from liftwerk.clock import FixedClock
from liftwerk.events.compact import compact
from liftwerk.features.cost import Cost, costs
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events import shop as shops
from tests.events.shop import NOW, event, put

FEATURES = {"views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"}}
VIEWS = {"web": {"purpose": "measurement", "features": ["views"]}}


def test_what_is_sorted_and_what_waits_is_counted(tmp_path: Path) -> None:
    shop = shops.shop(features=FEATURES, feature_views=VIEWS)
    clock = FixedClock(NOW)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        updater = Updater(shop, stores, clock)
        assert costs(shop, stores, updater.views) == [Cost("web", True, 0, 0, 1)]
        put(shop, stores, *(event("page_viewed", number) for number in range(1, 6)))
        compact(shop, stores, clock)
        put(shop, stores, event("page_viewed", 6), event("page_viewed", 7))
        (before,) = costs(shop, stores, updater.views)
        updater.catch_up()
        put(shop, stores, event("page_viewed", 8))
        (after,) = costs(shop, stores, updater.views)
    assert (before.fills, before.rows, before.parts) == (True, 7, 1)
    assert before.bytes > 0
    assert after == Cost("web", False, 1, 0, 0)
