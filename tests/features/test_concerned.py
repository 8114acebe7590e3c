"""An erasure makes anew what rests on the events that go, whoever it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read
from liftwerk.features.as_of import training_set
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order, put
from tests.identity.histories import END, at, erase_one

ADA, BOB = (leaf_key("email", name) for name in ("ada@x.org", "bob@x.org"))
TIME = pa.timestamp("us", "UTC")
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


def test_a_withdrawal_that_was_said_of_others_outlives_the_erased(tmp_path: Path) -> None:
    """Ada objects in a browser that several share: of the device that holds when she is gone."""
    people, tablet = ("ada@x.org", "bob@x.org"), leaf_key("device", "tablet")
    views = {"from": "page_viewed", "aggregate": "count"}
    purposes = ("ads", "personalisation")
    shop = shops.shop(
        identity={"at_most": 2},
        features={
            "views": {"entity": "customer", **views},
            "pages": {"entity": "session", **views},
        },
        feature_views={
            f"{entity}_{one}": {"purpose": one, "entity": entity, "features": [feature]}
            for entity, feature in (("customer", "views"), ("session", "pages"))
            for one in purposes
        },
    )
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:

        def comes(number: int, hour: int, name: str = "page_viewed", **fields: Any) -> None:
            fields = {"time": at(hour), "consent": granted(*purposes), **fields}
            body = event(name, number, session="evening", **fields)
            assert put(shop, stores, body, source="web", at=at(hour)) == []

        def known() -> list[Any]:
            """Say what is read of the device, kept, and trained on; three ways, each purpose."""
            found: list[Any] = []
            for one in purposes:
                rows = read(shop, stores, "page_viewed", one, ["id"]).num_rows
                spine = pa.table({"customer": [tablet], "time": pa.array([at(9)], TIME)})
                trained = training_set(shop, stores, spine, ["views"], one).column("views")
                served = [
                    Server(shop, stores, view, FixedClock(at(9))).get(key)
                    for view, key in ((f"customer_{one}", tablet), (f"session_{one}", "evening"))
                ]
                kept = [(dict(each.values), dict(each.missing)) for each in served]
                found.append((rows, trained.to_pylist(), *kept))
            return found

        def follows() -> list[Any]:
            compact(shop, stores, FixedClock(END))
            Updater(shop, stores, FixedClock(at(8))).catch_up()
            return known()

        for number, name in enumerate(people, 1):
            comes(number, 1, identifiers={"email": name, "device": "tablet"})
        comes(3, 2, identifiers={"device": "tablet"})
        allowed = follows()
        assert [(rows, trained) for rows, trained, *_ in allowed] == [(3, [1.0]), (3, [1.0])]
        assert [kept for _, _, kept, _ in allowed] == [({"views": 1.0}, {})] * 2
        word = {"granted": [], "withdrawn": [*purposes]}
        both = {"email": people[0], "device": "tablet"}
        comes(4, 3, "consent_changed", identifiers=both, properties=word)
        comes(
            5,
            4,
            identifiers={"device": "tablet"},
            consent={"granted": [*purposes], "source": "api"},
        )
        refused = follows()
        # Of ads what came before stays; nothing of the device may be used to personalise.
        assert [(rows, trained) for rows, trained, *_ in refused] == [(3, [1.0]), (0, [0.0])]
        erased(shop, stores, f"email:{people[0]}")
        after = follows()
        assert [(rows, trained) for rows, trained, *_ in after] == [(2, [1.0]), (0, [0.0])]
        assert [kept for _, _, kept, _ in after] == [kept for _, _, kept, _ in refused]
        fresh = Updater(shop, stores, FixedClock(at(8)))
        fresh.forget()
        fresh.catch_up()
        assert known() == after
        comes(
            6,
            7,
            identifiers={"device": "tablet"},
            consent={"granted": [*purposes], "source": "api"},
        )
        assert [kept for _, _, kept, _ in follows()] == [kept for _, _, kept, _ in after]
