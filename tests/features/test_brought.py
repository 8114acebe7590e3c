"""Values of requests, the clock's parts and reference data in expressions, as of each question."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import InputError, ProjectError
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.as_of import training_set
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.features.version import feature_version
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events import shop as shops
from tests.events.entities import things
from tests.events.shop import order, put
from tests.identity.histories import END, at

ADA = leaf_key("email", "ada@x.org")
FEATURES: dict[str, Any] = {
    "basket": {"entity": "customer", "request": "money"},
    "spent": {
        "entity": "customer",
        "from": "order_completed",
        "aggregate": "sum",
        "property": "revenue",
    },
    "share": {"entity": "customer", "expression": "basket / (basket + spent)"},
    "is_night": {
        "entity": "customer",
        "expression": "case when hour_of_day < 6 then 1 else 0 end",
    },
    "weekday": {"entity": "customer", "expression": "day_of_week"},
}


def test_a_request_and_the_clock_are_read_beside_events(tmp_path: Path) -> None:
    project = shops.shop(features=FEATURES)
    # Summer time begins on this Sunday: 00:59 UTC is 01:59, and 01:00 UTC is 03:00 in Berlin.
    times = [datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 3, 29, 4, 0, tzinfo=UTC)]
    spine = pa.table(
        {
            "customer": pa.array([ADA, ADA], pa.binary()),
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "basket": [30, 10],
        }
    )
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        body = order(1, "x", "10.00", identifiers={"email": "ada@x.org"}, time=at(1))
        assert put(project, stores, body, at=at(1)) == []
        compact(project, stores, FixedClock(END))
        found = training_set(project, stores, spine, [*FEATURES], "measurement")
        with pytest.raises(InputError, match="the rows do not bring 'basket'"):
            training_set(project, stores, spine.drop(["basket"]), ["share"], "measurement")
    assert found.drop(["customer", "time"]).to_pylist() == [
        {"basket": 30, "spent": 10.0, "share": 0.75, "is_night": 1.0, "weekday": 7.0},
        {"basket": 10, "spent": 10.0, "share": 0.5, "is_night": 0.0, "weekday": 7.0},
    ]


def test_a_property_is_read_as_it_held_and_was_known(tmp_path: Path) -> None:
    article = {
        "key": ["sku"],
        "description": "What is sold",
        "properties": {"sku": {"type": "string"}, "price": {"type": "money"}},
    }
    sold = {
        "entity": "article",
        "from": "order_completed",
        "unnest": "items",
        "aggregate": "sum",
        "property": "items.quantity",
    }
    features = {
        "sold": sold,
        "turnover": {"entity": "article", "expression": "sold * article.price"},
    }
    project = shops.shop(entities={"article": article}, features=features)
    items = [{"sku": "a", "quantity": 3, "price": "1.00"}]
    rows = [
        things.body("article", at(0), at(0), sku="a", price="2.00"),
        things.body("article", at(10), at(20), sku="a", price="2.50"),
    ]
    spine = pa.table(
        {
            "sku": ["a"] * 4,
            "time": pa.array([at(1), at(9), at(15), at(25)], pa.timestamp("us", "UTC")),
        }
    )
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        body = order(1, "x", "3.00", properties={"items": items}, time=at(2))
        assert put(project, stores, body, at=at(2)) == []
        compact(project, stores, FixedClock(END))
        things.keep(project, stores, "article", rows, FixedClock(END))
        found = training_set(project, stores, spine, ["turnover"], "measurement")
    assert found.column("turnover").to_pylist() == [0.0, 6.0, 6.0, 7.5]


def test_what_may_be_named_is_checked() -> None:
    for features, said in (
        (
            {"a": {"entity": "customer", "expression": "article.price"}},
            "no feature 'article.price'",
        ),
        ({"hour_of_day": {"entity": "customer", "request": "number"}}, "expressions ask the clock"),
        ({"a": {"entity": "customer", "request": "number", "window": "1d"}}, "leave it out"),
    ):
        with pytest.raises(ProjectError, match=said):
            shops.shop(features=features)


def test_the_zone_is_of_the_version_only_where_the_clock_is_asked() -> None:
    moved = {**shops.SHOP["project"], "timezone": "Asia/Tokyo"}
    here, there = shops.shop(features=FEATURES), shops.shop(features=FEATURES, project=moved)
    same = [feature_version(here, name) == feature_version(there, name) for name in FEATURES]
    assert same == [True, True, True, False, False]


def test_what_is_served_reads_the_same(tmp_path: Path) -> None:
    """A request's values, the clock and reference data, of kept values as in a training set."""
    article = {
        "key": ["sku"],
        "description": "What is sold",
        "properties": {"sku": {"type": "string"}, "price": {"type": "money"}},
    }
    sold = {
        "entity": "article",
        "from": "order_completed",
        "unnest": "items",
        "aggregate": "sum",
        "property": "items.quantity",
    }
    features = {
        **FEATURES,
        "sold": sold,
        "turnover": {"entity": "article", "expression": "sold * article.price + hour_of_day"},
    }
    views = {
        "crm": {"purpose": "measurement", "features": list(FEATURES)},
        "shelf": {"purpose": "measurement", "entity": "article", "features": ["sold", "turnover"]},
    }
    project = shops.shop(entities={"article": article}, features=features, feature_views=views)
    now = FixedClock(at(25))
    spine = pa.table(
        {
            "customer": pa.array([ADA], pa.binary()),
            "sku": ["a"],
            "time": pa.array([now.now()], pa.timestamp("us", "UTC")),
            "basket": [30.0],
        }
    )
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        items = [{"sku": "a", "quantity": 3, "price": "1.00"}]
        whose = {"identifiers": {"email": "ada@x.org"}, "time": at(2)}
        body = order(1, "x", "3.00", properties={"items": items}, **whose)
        assert put(project, stores, body, at=at(2)) == []
        compact(project, stores, now)
        rows = [things.body("article", at(0), at(0), sku="a", price="2.50")]
        things.keep(project, stores, "article", rows, now)
        Updater(project, stores, now).catch_up()
        crm, shelf = (Server(project, stores, view, now) for view in views)
        served = {
            **crm.get(ADA, request=crm.request({"basket": "30"})).values,
            **shelf.get(*shelf.key(["a"])).values,
        }
        names = [name for name in served if name != "basket"]
        (wanted,) = training_set(project, stores, spine, names, "measurement").to_pylist()
        without = crm.get(ADA)
        with pytest.raises(InputError, match="it takes basket with a request"):
            crm.request({"baskets": "30"})
        with pytest.raises(InputError, match="basket is 'much'"):
            crm.request({"basket": "much"})
    assert served == {name: wanted[name] for name in served}
    assert served["turnover"] == 3 * 2.5 + 2  # 01:00 UTC is 02:00 in Berlin's winter
    assert without.missing == {"basket": "not_given", "share": "not_given"}
