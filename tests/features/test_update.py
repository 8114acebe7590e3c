"""Values that follow the log are those that are reckoned from it, whatever happened on the way."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features import fill
from liftwerk.features.as_of import current, training_set
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order, put
from tests.identity.histories import (
    ASKED,
    END,
    LEAVES,
    Comes,
    Goes,
    Sorts,
    Step,
    at,
    erase_one,
    history,
)

pytestmark = pytest.mark.slow

ORDERS = {"entity": "customer", "from": "order_completed"}
FEATURES: dict[str, Any] = {
    "views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"},
    "views_6h": {
        "entity": "customer",
        "from": "page_viewed",
        "aggregate": "count",
        "window": "6h",
        "hop": "2h",
    },
    "spend": {**ORDERS, "aggregate": "sum", "property": "revenue"},
    "spend_9h": {
        **ORDERS,
        "aggregate": "sum",
        "property": "revenue",
        "window": "9h",
        "hop": "1h",
        "where": "order_id in ('x', 'y')",
    },
    "faded": {
        **ORDERS,
        "aggregate": "decayed_sum",
        "property": "revenue",
        "half_life": "6h",
        "hop": "2h",
    },
    "mean_order": {**ORDERS, "aggregate": "mean", "property": "revenue"},
    "mean_9h": {
        **ORDERS,
        "aggregate": "mean",
        "property": "revenue",
        "window": "9h",
        "hop": "1h",
    },
    "first_order": {**ORDERS, "aggregate": "first", "property": "order_id"},
    "last_order": {**ORDERS, "aggregate": "last", "property": "order_id"},
    "kinds": {**ORDERS, "aggregate": "distinct", "property": "order_id"},
    "loyalty": {**ORDERS, "aggregate": "top_share", "property": "order_id"},
    "days_since": {**ORDERS, "aggregate": "time_since"},
    "per_view": {"entity": "customer", "expression": "spend / (views + 1)"},
    "per_spend": {"entity": "customer", "expression": "views / spend"},
    "above_mean": {"entity": "customer", "expression": "mean_9h - mean_order"},
}
ITEMS = {"from": "order_completed", "unnest": "items", "entity": "article"}
VIEWED = {"from": "page_viewed", "entity": "audience"}
AUDIENCE = {**VIEWED, "by": ["context.country", "context.campaign.name"]}
OTHERS: dict[str, dict[str, Any]] = {
    "visitor": {
        "seen": {"entity": "visitor", "from": "page_viewed", "aggregate": "count"},
        "bought": {
            "entity": "visitor",
            "from": "order_completed",
            "aggregate": "sum",
            "property": "revenue",
            "window": "9h",
            "hop": "1h",
        },
    },
    "session": {
        "pages": {"entity": "session", "from": "page_viewed", "aggregate": "count"},
        "basket": {
            "entity": "session",
            "from": "order_completed",
            "aggregate": "last",
            "property": "revenue",
        },
    },
    "article": {
        "sold": {**ITEMS, "aggregate": "sum", "property": "items.quantity"},
        "sold_9h": {**ITEMS, "aggregate": "count", "window": "9h", "hop": "1h"},
        "each": {"entity": "article", "expression": "sold / sold_9h"},
    },
    "audience": {
        "pages_there": {**AUDIENCE, "aggregate": "count"},
        "idle_there": {**AUDIENCE, "aggregate": "time_since"},
    },
}
KEYS: dict[str, list[dict[str, Any]]] = {
    "visitor": [{"visitor": leaf_key("device", f"d{number}")} for number in range(1, 5)],
    "session": [{"session": f"s{number}"} for number in range(4)],
    "article": [{"sku": sku} for sku in ("a", "b", "c")],
    "audience": [{"country": land, "campaign": name} for land in ("DE", "AT") for name in "xy"],
}
KEY = {"type": "string"}
RETROACTIVE = "personalisation"
"""The purpose for which most may change afterwards."""

SECTIONS: dict[str, Any] = {
    "identity": {"at_most": 2},
    "identifiers": {
        "email": {"normalise": "email", "privacy": "personal"},
        "device": {"normalise": "none", "anonymous": True},
    },
    "entities": {
        "article": {"key": ["sku"], "description": "What is sold", "properties": {"sku": KEY}},
        "audience": {
            "key": ["country", "campaign"],
            "description": "Whom a campaign reaches",
            "properties": {"country": KEY, "campaign": KEY},
        },
    },
    "features": {**FEATURES, **{name: one for of in OTHERS.values() for name, one in of.items()}},
    "feature_views": {
        **{purpose: {"purpose": purpose, "features": list(FEATURES)} for purpose in ASKED},
        **{
            entity: {"purpose": RETROACTIVE, "entity": entity, "features": list(features)}
            for entity, features in OTHERS.items()
        },
    },
}


def with_more(body: dict[str, Any]) -> dict[str, Any]:
    """Say more of an event, by its number: its session, its items, where it was."""
    number = UUID(body["id"]).int
    more = {**body, "context": {"country": ("DE", "AT")[number % 2]}}
    if number % 5 > 0:
        more["session"] = f"s{number % 4}"
        more["context"]["campaign"] = {"name": "xyyx"[number % 4]}
    if body["name"] == "order_completed":
        items = [
            {"sku": "abc"[place], "quantity": number % 7, "price": "1.00"}
            for place in range(number % 4)
        ]
        more["properties"] = {**body["properties"], "items": items}
    return more


def project() -> Project:
    return shops.shop(**SECTIONS)


def follow(
    project: Project, stores: Stores, steps: list[Step], draw: random.Random
) -> Counter[str]:
    """Live a history with an updater beside it; compare whenever all is sorted."""
    counts: Counter[str] = Counter()
    updater = Updater(project, stores, FixedClock(at(0)))
    hour = 0
    for step in steps:
        match step:
            case Comes():
                hour = step.hour
                put(project, stores, with_more(step.body), source=step.source, at=at(hour))
                if draw.random() < 0.3:
                    counts["ahead"] += 1
                    updater.step()
            case Sorts():
                compact(project, stores, FixedClock(END))
                if draw.random() < 0.5:
                    updater = Updater(project, stores, FixedClock(at(hour)))
                updater.catch_up()
                compare(project, stores, hour, counts)
            case Goes():
                compact(project, stores, FixedClock(END))
                erase_one(project, stores, f"{step.namespace}:{step.name}")
                updater.catch_up()
                counts["erased"] += 1
                is_gone(stores)
    compact(project, stores, FixedClock(END))
    updater.catch_up()
    compare(project, stores, hour, counts)
    return counts


def is_gone(stores: Stores) -> None:
    """No key of the erased is left, neither of a row nor in what a row holds."""
    gone = stores.ledger.buried()
    assert stores.online.about(gone) == []
    for space in stores.online.spaces():
        for row in stores.online.rows(space.name):
            assert not any(leaf in row.body for leaf in gone)


def compare(project: Project, stores: Stores, hour: int, counts: Counter[str]) -> None:
    now = at(hour + 1)
    for purpose in ASKED:
        wanted = current(project, stores, list(LEAVES), list(FEATURES), purpose, now).to_pylist()
        found = Server(project, stores, purpose, FixedClock(now)).get_many(
            [(leaf,) for leaf in LEAVES]
        )
        for row, served in zip(wanted, found, strict=True):
            values = {name: row[name] for name in FEATURES}
            counts["rows"] += 1
            counts["known"] += values["views"] > 0 or values["spend"] > 0
            assert served.values == values, (purpose, row["customer"].hex())
    for entity, features in OTHERS.items():
        spine = pa.Table.from_pylist([{**key, "time": now} for key in KEYS[entity]])
        names = list(features)
        known = AsOf(time=now)
        wanted = training_set(project, stores, spine, names, RETROACTIVE, known).to_pylist()
        server = Server(project, stores, entity, FixedClock(now))
        for row, key in zip(wanted, KEYS[entity], strict=True):
            served = server.get(*key.values())
            counts[entity] += row[names[0]] > 0
            assert served.values == {name: row[name] for name in names}, key


ADA, BOB = (leaf_key("email", name) for name in ("ada@x.org", "bob@x.org"))


def lived(stores: Stores, *steps: tuple[dict[str, Any], int], source: str = "till") -> Project:
    """Let events come in, and values follow at each one's hour."""
    shop = project()
    for body, hour in steps:
        assert put(shop, stores, body, source=source, at=at(hour)) == []
        Updater(shop, stores, FixedClock(at(hour))).catch_up()
    return shop


def by(name: str, hour: int, **others: str) -> dict[str, Any]:
    return {
        "identifiers": {"email": name, **others},
        "time": at(hour),
        "consent": granted("ads", "personalisation"),
    }


def basket(number: int, session: str, **fields: Any) -> dict[str, Any]:
    items = [{"sku": "a", "quantity": 2, "price": "2.50"}]
    properties = {"items": items}
    return order(number, f"o{number}", "5.00", session=session, properties=properties, **fields)


def changed(number: int, side: str, hour: int, **identifiers: str) -> dict[str, Any]:
    sides = {"granted": [], "withdrawn": [], side: ["personalisation", "measurement"]}
    return event(
        "consent_changed", number, identifiers=identifiers, time=at(hour), properties=sides
    )


def seen(shop: Project, stores: Stores, purpose: str, leaf: bytes) -> tuple[float, float]:
    values = Server(shop, stores, purpose, FixedClock(at(9))).get(leaf).values
    return values["views"], values["spend"]


def test_a_withdrawal_takes_back_what_was_added(tmp_path: Path) -> None:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        shop = lived(
            stores,
            (event("page_viewed", 1, **by("ada@x.org", 1)), 1),
            (event("page_viewed", 2, **by("ada@x.org", 3)), 3),
            # Told late: the objection holds from hour 2 on, the withdrawal for all that there is.
            (changed(3, "withdrawn", 2, email="ada@x.org"), 4),
        )
        assert seen(shop, stores, "ads", ADA) == (2.0, 0.0)
        assert seen(shop, stores, "personalisation", ADA) == (0.0, 0.0)
        assert seen(shop, stores, "measurement", ADA) == (1.0, 0.0)
        lived(stores, (changed(4, "granted", 3, email="ada@x.org"), 5))
        assert seen(shop, stores, "measurement", ADA) == (2.0, 0.0)


def test_what_is_said_of_one_identifier_reaches_rows_of_another(tmp_path: Path) -> None:
    """A browser's word links nobody, and its event names both."""
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        lived(stores, (event("page_viewed", 1, **by("ada@x.org", 1, device="d1")), 1), source="web")
        shop = lived(stores, (changed(2, "withdrawn", 2, device="d1"), 2))
        assert seen(shop, stores, "ads", ADA) == (1.0, 0.0)
        assert seen(shop, stores, "personalisation", ADA) == (0.0, 0.0)


def test_another_report_counts_when_the_surest_may_not_be_read(tmp_path: Path) -> None:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        lived(stores, (order(1, "x", "7.00", **by("bob@x.org", 1)), 1), source="web")
        shop = lived(stores, (order(2, "x", "5.00", **by("ada@x.org", 1)), 2))
        assert seen(shop, stores, "personalisation", ADA) == (0.0, 5.0)
        assert seen(shop, stores, "personalisation", BOB) == (0.0, 0.0)
        lived(stores, (changed(3, "withdrawn", 3, email="ada@x.org"), 3))
        assert seen(shop, stores, "personalisation", ADA) == (0.0, 0.0)
        assert seen(shop, stores, "personalisation", BOB) == (0.0, 7.0)


def test_an_erasure_reaches_rows_that_name_nobody(tmp_path: Path) -> None:
    """What an erased customer did goes from her session at once, from products in the next step."""
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shop = lived(
            stores,
            (basket(1, "s1", **by("ada@x.org", 1)), 1),
            (basket(2, "s2", **by("bob@x.org", 1, device="d1")), 1),
            (basket(3, "s3", **by("ada@x.org", 1, device="d2")), 1),
        )
        article = Server(shop, stores, "article", FixedClock(at(2)))
        session = Server(shop, stores, "session", FixedClock(at(2)))
        visitor = Server(shop, stores, "visitor", FixedClock(at(2)))
        device = leaf_key("device", "d2")
        assert article.get("a").values["sold"] == 6.0
        assert session.get("s1").values["basket"] == visitor.get(device).values["bought"] == 5.0
        compact(shop, stores, FixedClock(END))
        erase_one(shop, stores, "email:ada@x.org")
        assert session.get("s1").values["basket"] is None
        assert session.get("s2").values["basket"] == 5.0
        Updater(shop, stores, FixedClock(at(2))).step()
        assert article.get("a").values["sold"] == 2.0
        assert visitor.get(device).values["bought"] == 0.0
        assert session.get("s1").missing == {"basket": "never"}


def test_why_a_value_is_missing_is_told(tmp_path: Path) -> None:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        shop = lived(
            stores,
            (order(1, "x", "5.00", **by("ada@x.org", 0)), 0),
            (event("page_viewed", 2, **by("bob@x.org", 1)), 1),
            (event("page_viewed", 3, **by("ada@x.org", 30)), 30),  # lets the spent tile go
        )
        server = Server(shop, stores, "ads", FixedClock(at(31)))
        ada, bob, eve = server.get_many([(ADA,), (BOB,), (leaf_key("email", "eve@x.org"),)])
        early = Server(shop, stores, "ads", FixedClock(at(31) - timedelta(hours=22))).get(ADA)
    assert ada.missing == {"mean_9h": "expired", "above_mean": "expired"}
    assert ada.values["mean_order"] == 5.0
    assert bob.missing["mean_9h"] == "never"
    assert bob.missing["per_spend"] == "no_answer"
    assert eve.missing["mean_9h"] == eve.missing["first_order"] == "never"
    assert early.as_of == at(30)  # the clock went back: no value is older than its row


def test_that_consent_is_missing_is_told(tmp_path: Path) -> None:
    whose = {"identifiers": {"email": "ada@x.org"}, "time": at(1)}
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        shop = lived(
            stores,
            (order(1, "x", "5.00", consent=granted(), **whose), 1),
            (order(2, "y", "7.00", **by("bob@x.org", 2)), 2),
        )
        server = Server(shop, stores, "personalisation", FixedClock(at(9)))
        why = [one.missing.get("last_order") for one in server.get_many([(ADA,), (BOB,)])]
        assert why == ["no_consent", None]
        lived(stores, (changed(3, "withdrawn", 3, email="bob@x.org"), 3))
        assert server.get(BOB).missing["last_order"] == "no_consent"
        assert server.get(leaf_key("email", "eve@x.org")).missing["last_order"] == "never"
        Updater(shop, stores, FixedClock(at(4))).forget()
        Updater(shop, stores, FixedClock(at(4))).catch_up()
        assert server.get(BOB).missing["last_order"] == "no_consent"
        session = Server(shop, stores, "session", FixedClock(at(9)))
        assert session.get("s9").missing == {"basket": "never"}
        lived(stores, (basket(4, "s9", consent=granted(), **whose), 5))
        assert session.get("s9").missing == {"basket": "no_consent"}


def test_how_fresh_values_are_is_told(tmp_path: Path) -> None:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        shop = lived(stores, (event("page_viewed", 1, **by("ada@x.org", 0)), 0))
        server = Server(shop, stores, "ads", FixedClock(at(5)))
        assert server.get(ADA).fresh == at(5)  # nothing came since: they are all there is
        put(shop, stores, event("page_viewed", 2, **by("ada@x.org", 3)), source="till", at=at(3))
        assert server.get(ADA).fresh == at(0)


def test_what_memory_does_not_hold_waits_for_who_sorts(tmp_path: Path) -> None:
    shop = project()
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        for number in range(8):
            body = event("page_viewed", number, **by("ada@x.org", 0))
            put(shop, stores, body, source="till", at=at(0))
        updater = Updater(shop, stores, FixedClock(at(1)), most=3)
        assert updater.catch_up() == 3
        compact(shop, stores, FixedClock(at(1)))
        assert updater.catch_up() == 8
        served = Server(shop, stores, "ads", FixedClock(at(1))).get(ADA)
    assert served.values["views"] == 8.0


def test_a_fill_in_parts_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = project()
    draw = random.Random(5)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        for step in history(draw, events=40):
            if isinstance(step, Comes):
                put(shop, stores, step.body, source=step.source, at=at(step.hour))
        compact(shop, stores, FixedClock(END))
        monkeypatch.setattr(fill, "PART", 4)
        with pytest.raises(UnknownName, match="were never made"):
            Server(shop, stores, "ads", FixedClock(at(40))).get(next(iter(LEAVES)))
        Updater(shop, stores, FixedClock(at(40))).catch_up()
        counts: Counter[str] = Counter()
        compare(shop, stores, 40, counts)
    assert counts["known"] > 0


@pytest.mark.parametrize("seed", [0, 3])
def test_what_is_served_is_what_the_log_says(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    shop = project()
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        counts = follow(shop, stores, history(draw, events=30), draw)
    assert counts["known"] > 20, counts
    assert all(counts[entity] > 3 for entity in OTHERS), counts
