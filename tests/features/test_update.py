"""Values that follow the log are those that are reckoned from it, whatever happened on the way."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import UnknownName
from liftwerk.events.compact import compact
from liftwerk.features import update
from liftwerk.features.as_of import current
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import put
from tests.identity.histories import (
    ASKED,
    END,
    LEAVES,
    Comes,
    Goes,
    Sorts,
    Step,
    _erase,
    at,
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
    "first_order": {**ORDERS, "aggregate": "first", "property": "order_id"},
    "last_order": {**ORDERS, "aggregate": "last", "property": "order_id"},
    "kinds": {**ORDERS, "aggregate": "distinct", "property": "order_id"},
    "loyalty": {**ORDERS, "aggregate": "top_share", "property": "order_id"},
    "days_since": {**ORDERS, "aggregate": "time_since"},
    "per_view": {"entity": "customer", "expression": "spend / (views + 1)"},
}
SECTIONS: dict[str, Any] = {
    "identity": {"at_most": 2},
    "features": FEATURES,
    "feature_views": {
        purpose: {"purpose": purpose, "features": list(FEATURES)} for purpose in ASKED
    },
}


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
                put(project, stores, step.body, source=step.source, at=at(hour))
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
                _erase(project, stores, f"{step.namespace}:{step.name}")
                updater.catch_up()
                counts["erased"] += 1
    compact(project, stores, FixedClock(END))
    updater.catch_up()
    compare(project, stores, hour, counts)
    return counts


def compare(project: Project, stores: Stores, hour: int, counts: Counter[str]) -> None:
    now = at(hour + 1)
    for purpose in ASKED:
        wanted = current(project, stores, list(LEAVES), list(FEATURES), purpose, now).to_pylist()
        found = Server(project, stores, purpose, FixedClock(now)).get_many(list(LEAVES))
        for row, served in zip(wanted, found, strict=True):
            values = {name: row[name] for name in FEATURES}
            counts["rows"] += 1
            counts["known"] += values["views"] > 0 or values["spend"] > 0
            assert served.values == values, (purpose, row["customer"].hex())


def test_a_fill_in_parts_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = project()
    draw = random.Random(5)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        for step in history(draw, events=40):
            if isinstance(step, Comes):
                put(shop, stores, step.body, source=step.source, at=at(step.hour))
        compact(shop, stores, FixedClock(END))
        monkeypatch.setattr(update, "PART", 4)
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
