"""What retention takes out goes from kept values too, and no other value is touched."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features import step
from liftwerk.features.kept import UNFILLED, kept_view
from liftwerk.features.older import orphans
from liftwerk.features.retain import RETAINING, retain
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.online import Changes
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import SHOP, event, granted, order, put
from tests.features.kept_rows import kept_rows
from tests.features.test_update import FEATURES
from tests.identity.histories import END, Comes, at, history

ADA, BOB = (leaf_key("email", name) for name in ("ada@x.org", "bob@x.org"))
HALF = FixedClock(at(30) + timedelta(days=30))
"""When what happened in the first thirty hours is too old."""


def project_with(views: dict[str, Any], features: dict[str, Any], **kept: str) -> Project:
    """Declare that some events are kept for so long, or a property of one."""
    events = {name: {**one} for name, one in SHOP["events"].items()}
    for name, long in kept.items():
        name, _, key = name.partition("__")
        if key:
            properties = {one: {**said} for one, said in events[name]["properties"].items()}
            properties[key]["retention"] = long
            events[name]["properties"] = properties
        else:
            events[name]["retention"] = long
    identity = {"at_most": 2}
    return shops.shop(events=events, features=features, feature_views=views, identity=identity)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        yield stores


def followed(project: Project, stores: Stores) -> dict[str, Any]:
    Updater(project, stores, HALF).catch_up()
    return kept_rows(stores.online)


def filled_anew(project: Project, stores: Stores) -> dict[str, Any]:
    Updater(project, stores, HALF).forget()
    return followed(project, stores)


SESSIONS = {"entity": "session", "from": "page_viewed", "aggregate": "count"}
NAMES = ("views", "spend", "mean_9h", "last_order", "loyalty")
BOTH = project_with(
    {
        "ads": {"purpose": "ads", "features": list(NAMES)},
        "visits": {"purpose": "ads", "entity": "session", "features": ["pages"]},
    },
    {**{name: FEATURES[name] for name in NAMES}, "pages": SESSIONS},
    page_viewed="30 days",
    order_completed="30 days",
)


@pytest.mark.parametrize("seed", range(6))
def test_values_are_what_a_fill_would_make_of_what_is_left(
    stores: Stores, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "MARKS", 1 + seed)  # a step takes up only so many
    for one in history(random.Random(seed), events=50):
        if isinstance(one, Comes):
            put(BOTH, stores, one.body, source=one.source, at=at(one.hour))
    compact(BOTH, stores, FixedClock(END))
    before = followed(BOTH, stores)
    assert retain(BOTH, stores, HALF)
    after = followed(BOTH, stores)
    assert after != before
    assert after == filled_anew(BOTH, stores)
    assert stores.online.progress(RETAINING) is None


def by(name: str, hour: int, **others: str) -> dict[str, Any]:
    consent = granted("ads")
    return {"identifiers": {"email": name, **others}, "time": at(hour), "consent": consent}


SPENT = {"entity": "customer", "from": "order_completed", "aggregate": "sum", "property": "revenue"}
SPEND = project_with(
    {"ads": {"purpose": "ads", "features": ["spend"]}},
    {"spend": SPENT},
    page_viewed="30 days",
    order_completed="30 days",
)


def spent(stores: Stores, leaf: bytes, project: Project = SPEND) -> Any:
    return Server(project, stores, "ads", HALF).get(leaf).values["spend"]


def lived(stores: Stores, *steps: tuple[dict[str, Any], str], project: Project = SPEND) -> None:
    for body, source in steps:
        assert put(project, stores, body, source=source, at=at(50)) == []
    compact(project, stores, FixedClock(at(50)))
    Updater(project, stores, HALF).catch_up()


def test_another_report_of_a_conversion_counts_then(stores: Stores) -> None:
    surer, later = (
        order(1, "x", "5.00", **by("ada@x.org", 1)),
        order(2, "x", "7.00", **by("bob@x.org", 40)),
    )
    lived(stores, (surer, "till"), (later, "web"))
    assert (spent(stores, ADA), spent(stores, BOB)) == (5.0, 0.0)
    retain(SPEND, stores, HALF)
    followed(SPEND, stores)
    assert (spent(stores, ADA), spent(stores, BOB)) == (0.0, 7.0)


def test_who_was_linked_by_what_went_is_no_longer_one(stores: Stores) -> None:
    ada, linked = (
        order(1, "x", "5.00", **by("ada@x.org", 40)),
        event(number=2, **by("ada@x.org", 1, device="d1")),
    )
    device = order(
        3, "y", "2.00", identifiers={"device": "d1"}, time=at(40), consent=granted("ads")
    )
    lived(stores, (ada, "till"), (linked, "till"), (device, "till"))
    assert spent(stores, ADA) == 7.0
    retain(SPEND, stores, HALF)
    followed(SPEND, stores)
    assert spent(stores, ADA) == 5.0


def test_a_property_goes_from_the_values_that_read_it(stores: Stores) -> None:
    features = {"spend": {**SPENT, "property": "discount"}}
    views = {"ads": {"purpose": "ads", "features": ["spend"]}}
    project = project_with(views, features, order_completed__discount="30 days")
    for number, hour in ((1, 1), (2, 40)):
        body = order(
            number, f"o{number}", properties={"discount": "-1.00"}, **by("ada@x.org", hour)
        )
        lived(stores, (body, "till"), project=project)
    assert spent(stores, ADA, project) == -2.0
    retain(project, stores, HALF)
    followed(project, stores)
    assert spent(stores, ADA, project) == -1.0
    assert retain(project, stores, HALF) == []


def test_very_many_are_filled_anew(stores: Stores) -> None:
    lived(
        stores,
        (order(1, "x", "5.00", **by("ada@x.org", 1)), "till"),
        (order(2, "y", "7.00", **by("bob@x.org", 40)), "till"),
    )
    retain(SPEND, stores, HALF, most=0)
    assert stores.online.progress(kept_view(SPEND, "ads").space) is None
    followed(SPEND, stores)
    assert (spent(stores, ADA), spent(stores, BOB)) == (0.0, 7.0)


def test_whoever_was_killed_in_between_is_made_up_for(stores: Stores) -> None:
    """Rows were taken out, and nothing was marked: nobody knows any more whom they were about."""
    lived(stores, (order(1, "x", "5.00", **by("ada@x.org", 1)), "till"))
    stores.online.apply({RETAINING: Changes(None, [(b"began", b"")])}, 0, at(1))
    short = {"page_viewed": "90 days"}
    other = project_with(
        {"ads": {"purpose": "ads", "features": ["spend"]}}, {"spend": SPENT}, **short
    )
    assert retain(other, stores, HALF) == []
    assert stores.online.progress(kept_view(other, "ads").space) is None
    assert stores.online.progress(RETAINING) is None


def test_what_nobody_declares_any_more_does_not_outlive_it(stores: Stores) -> None:
    lived(stores, (order(1, "x", "5.00", **by("ada@x.org", 1)), "till"))
    changed = project_with(
        {"ads": {"purpose": "ads", "features": ["spend"]}},
        {"spend": {**SPENT, "window": "9h", "hop": "1h"}},
        order_completed="30 days",
    )
    assert kept_view(SPEND, "ads").space in orphans(changed, stores)
    retain(changed, stores, HALF)
    assert orphans(changed, stores) == []


def test_a_fill_that_was_under_way_begins_anew(stores: Stores) -> None:
    """Its first part may hold what is gone by the time of the last."""
    bought = order(1, "x", "5.00", **by("ada@x.org", 1))
    assert put(SPEND, stores, bought, source="till", at=at(50)) == []
    compact(SPEND, stores, FixedClock(at(50)))
    space = kept_view(SPEND, "ads").space
    stores.online.apply({space: Changes(None, [(ADA, b"half")])}, UNFILLED, at(50))
    retain(SPEND, stores, HALF)
    assert stores.online.progress(space) is None
    followed(SPEND, stores)
    assert spent(stores, ADA) == 0.0
