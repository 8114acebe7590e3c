"""An erasure makes anew what rests on the events that go, whoever it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order, put
from tests.identity.histories import END, at, erase_one

ADA, BOB = (leaf_key("email", name) for name in ("ada@x.org", "bob@x.org"))
SPENT = {"from": "order_completed", "aggregate": "sum", "property": "revenue"}
SECTIONS: dict[str, Any] = {
    "identity": {"at_most": 2},
    "features": {
        "views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"},
        "spend": {"entity": "customer", **SPENT},
    },
    "feature_views": {"ads": {"purpose": "ads", "features": ["views", "spend"]}},
}


def lived(stores: Stores, *steps: tuple[dict[str, Any], str, int]) -> Project:
    """Let events come in, and values follow at each one's hour."""
    shop = shops.shop(**SECTIONS)
    for body, source, hour in steps:
        assert put(shop, stores, body, source=source, at=at(hour)) == []
        Updater(shop, stores, FixedClock(at(hour))).catch_up()
    return shop


def by(name: str, hour: int, **others: str) -> dict[str, Any]:
    consent = granted("ads")
    return {"identifiers": {"email": name, **others}, "time": at(hour), "consent": consent}


def seen(shop: Project, stores: Stores, leaf: bytes) -> dict[str, Any]:
    return dict(Server(shop, stores, "ads", FixedClock(at(9))).get(leaf).values)


def erased(shop: Project, stores: Stores, customer: str) -> None:
    """Erase somebody, and let the view follow."""
    with stores.home.hold("test"):
        compact(shop, stores, FixedClock(END))
        erase_one(shop, stores, customer)
    Updater(shop, stores, FixedClock(at(8))).catch_up()


def test_another_report_counts_when_the_surest_is_erased(tmp_path: Path) -> None:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        shop = lived(
            stores,
            (order(1, "x", "7.00", **by("bob@x.org", 1)), "web", 1),
            (order(2, "x", "5.00", **by("ada@x.org", 1)), "till", 2),
        )
        assert seen(shop, stores, BOB) == {"views": 0.0, "spend": 0.0}
        erased(shop, stores, "email:ada@x.org")
        assert seen(shop, stores, BOB) == {"views": 0.0, "spend": 7.0}


def test_who_is_one_customer_is_kept_anew(tmp_path: Path) -> None:
    """A device of three is nobody's; once one of them is erased, it is the others'."""
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        steps = [
            (event("page_viewed", number, **by(f"{name}@x.org", number, device="d1")), "till", 3)
            for number, name in enumerate(("ada", "bob", "eve"), 1)
        ]
        shop = lived(stores, *steps)
        assert seen(shop, stores, ADA) == {"views": 1.0, "spend": 0.0}
        erased(shop, stores, "email:eve@x.org")
        assert seen(shop, stores, ADA) == seen(shop, stores, BOB) == {"views": 2.0, "spend": 0.0}


def test_a_session_of_the_erased_is_made_anew(tmp_path: Path) -> None:
    """It goes at once, and comes back with what others did in it."""
    sections = {
        "features": {"pages": {"entity": "session", "from": "page_viewed", "aggregate": "count"}},
        "feature_views": {"s": {"purpose": "ads", "entity": "session", "features": ["pages"]}},
    }
    shop = shops.shop(**sections)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        for number, name in enumerate(("ada@x.org", "bob@x.org"), 1):
            body = event("page_viewed", number, session="tablet", **by(name, number))
            assert put(shop, stores, body, source="till", at=at(3)) == []
        Updater(shop, stores, FixedClock(at(4))).catch_up()
        erased(shop, stores, "email:ada@x.org")
        served = Server(shop, stores, "s", FixedClock(at(9))).get("tablet")
    assert served.values == {"pages": 1.0}
