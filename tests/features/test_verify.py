"""What was told is noted and made again from the log; a difference has a cause, or is an alarm."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwerk.clock import FixedClock
from liftwerk.decisions.verify import verify_told
from liftwerk.definitions import Project
from liftwerk.errors import DefinitionError
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read
from liftwerk.events.retain import retain
from liftwerk.features.concerned import mark
from liftwerk.features.kept import kept_view
from liftwerk.features.sample import Sampler, lost_samples
from liftwerk.features.serve import Server
from liftwerk.features.told import Told, values_in
from liftwerk.features.update import Updater
from liftwerk.features.used import put_to_use, view_version
from liftwerk.features.verify import Verified, verify
from liftwerk.store.home import Home
from liftwerk.store.online import Changes
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order, put
from tests.identity.histories import END, at, erase_one

ADA, BOB = (leaf_key("email", name) for name in ("ada@x.org", "bob@x.org"))
SPENT = {"entity": "customer", "from": "order_completed", "property": "revenue"}
FEATURES: dict[str, Any] = {
    "views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"},
    "spend": {**SPENT, "aggregate": "sum"},
    "mean_9h": {**SPENT, "aggregate": "mean", "window": "9h", "hop": "1h"},
    "last_order": {**SPENT, "aggregate": "last", "property": "order_id"},
    "per_view": {"entity": "customer", "expression": "spend / views"},
}
LAND = {"country": {"type": "string"}, "tax": {"type": "number"}}
VISITORS = {**shops.SHOP["identifiers"], "device": {"normalise": "none", "anonymous": True}}
VIEW = {"purpose": "ads", "sample": "100%"}


def shop(**changes: Any) -> Project:
    features = {**FEATURES, **changes}
    views = {"crm": {**VIEW, "features": list(features)}}
    return shops.shop(features=features, feature_views=views)


def by(name: str, hour: int, **others: str) -> dict[str, Any]:
    consent = granted("ads")
    return {"identifiers": {"email": name, **others}, "time": at(hour), "consent": consent}


def withdrawn(hour: int) -> dict[str, Any]:
    sides = {"granted": [], "withdrawn": ["ads"]}
    ada = {"email": "ada@x.org"}
    return event("consent_changed", 9, identifiers=ada, time=at(hour), properties=sides)


def lived(project: Project, stores: Stores) -> None:
    """Let a few things happen, and the view follow them."""
    events = (
        order(1, "x", "7.10", **by("ada@x.org", 1)),
        order(2, "y", "0.05", **by("ada@x.org", 2)),
        event("page_viewed", 3, **by("ada@x.org", 2)),
        event("page_viewed", 4, **by("bob@x.org", 2)),
    )
    assert put(project, stores, *events, source="till", at=at(3)) == []
    # A browser's word links nobody: the device stays somebody of its own.
    seen = event("page_viewed", 5, **by("ada@x.org", 2, device="d1"))
    assert put(project, stores, seen, source="web", at=at(3)) == []
    sorts(project, stores)
    Updater(project, stores, FixedClock(at(4))).catch_up()


def sorts(project: Project, stores: Stores) -> None:
    with stores.home.hold("test"):
        compact(project, stores, FixedClock(END))


def told(project: Project, stores: Stores, *leaves: bytes, hour: int = 5) -> None:
    """Ask the view, and let the answers be noted."""
    clock = FixedClock(at(hour))
    server = Server(project, stores, "crm", clock)
    sampler = Sampler(project, stores, clock, np.random.default_rng(1))
    for leaf in leaves:
        sampler.offer(server.kept, leaf, server.get(leaf))
    sampler.close()
    assert sampler.lost == 0


def verified(project: Project, stores: Stores) -> Verified:
    sorts(project, stores)
    return verify_told(project, stores, FixedClock(END), np.random.default_rng(1))


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    with open_stores(Home.open(tmp_path / "home", create=True)) as opened:
        yield opened


def test_what_was_told_is_what_the_log_says(stores: Stores) -> None:
    project = shop()
    lived(project, stores)
    told(project, stores, ADA, BOB)
    late = order(6, "z", "3.00", **by("ada@x.org", 2))
    assert put(project, stores, late, source="till", at=at(6)) == []
    found = verified(project, stores)
    assert found.answers == 4  # two that were noted, two that are kept
    assert found.values == found.equal == 20
    assert found.holds
    assert found.sentence.endswith("and all are the same")
    rows = read(project, stores, "features_served", "audit").to_pylist()
    assert [row["feature_snapshot"] for row in rows] == [
        '{"last_order":"y","mean_9h":3.575,"per_view":3.575,"spend":7.15,"views":2.0}',
        '{"last_order":null,"mean_9h":null,"per_view":0.0,"spend":0.0,"views":1.0}',
    ]


def test_a_value_that_was_tampered_with_is_found(stores: Stores) -> None:
    project = shop()
    lived(project, stores)
    space = kept_view(project, "crm").space
    (body,), progress = stores.online.get(space, [ADA])
    assert body is not None
    assert progress is not None
    altered = body.replace(b"715000000", b"915000000")
    assert altered != body
    changes = Changes(progress, [(ADA, altered)])
    stores.online.apply({space: changes}, progress.offset, progress.at)
    told(project, stores, ADA, BOB)
    found = verified(project, stores)
    assert not found.holds
    assert found.causes == {"unexplained": 4}  # spend and what reads it, noted and kept
    assert {(one.by, one.feature, one.told, one.found) for one in found.differences} == {
        (by, *one)
        for by in ("view", "kept")
        for one in (("spend", "9.15", "7.15"), ("per_view", "4.575", "3.575"))
    }
    assert {one.key for one in found.differences} == {ADA.hex()}


def test_the_erased_are_counted(stores: Stores) -> None:
    project = shop()
    lived(project, stores)
    told(project, stores, ADA, BOB)
    verified(project, stores)
    with stores.home.hold("test"):
        erase_one(project, stores, "email:bob@x.org")
        # Somebody of its own; what it shared with her goes, and her answer was another.
        erase_one(project, stores, "device:d1")
    Updater(project, stores, FixedClock(at(7))).catch_up()
    found = verified(project, stores)
    assert found.holds
    assert found.erased == 1
    assert found.answers == 2
    assert found.causes == {"erased": 2}
    assert {(one.by, one.feature) for one in found.differences} == {
        ("view", "views"),
        ("view", "per_view"),
    }


def test_a_changed_definition_is_named(stores: Stores) -> None:
    lived(shop(), stores)
    told(shop(), stores, ADA, BOB)
    changed = shop(spend={**SPENT, "aggregate": "sum", "window": "9h", "hop": "1h"})
    found = verified(changed, stores)
    assert found.holds
    assert found.changed == {"spend": 2, "per_view": 2}
    assert found.values == found.equal == 6
    assert found.answers == 2  # the changed view keeps nothing yet


def test_changed_rules_are_a_cause(stores: Stores) -> None:
    unasked = order(8, "w", "1.00", identifiers={"email": "ada@x.org"}, time=at(1))
    assert put(shop(), stores, unasked, source="till", at=at(2)) == []
    lived(shop(), stores)
    told(shop(), stores, ADA)
    purposes = {**shops.SHOP["purposes"], "ads": {"basis": "contract"}}
    views = {"crm": {**VIEW, "features": list(FEATURES)}}
    other = shops.shop(features=FEATURES, feature_views=views, purposes=purposes)
    found = verified(other, stores)
    assert found.holds
    assert found.answers == 1  # what was kept by other rules is kept no longer
    assert set(found.causes) == {"rules"}


def test_retention_is_a_cause(stores: Stores) -> None:
    project = shop()
    lived(project, stores)
    told(project, stores, ADA)
    verified(project, stores)
    events = {**shops.SHOP["events"]}
    events["page_viewed"] = {**events["page_viewed"], "retention": "30 days"}
    views = {"crm": {**VIEW, "features": list(FEATURES)}}
    shorter = shops.shop(features=FEATURES, feature_views=views, events=events)
    with stores.home.hold("test"):
        assert retain(shorter, stores, FixedClock(END))
    found = verified(shorter, stores)
    assert found.holds
    assert set(found.causes) == {"retention"}


def test_what_became_of_drawn_answers_is_counted(stores: Stores) -> None:
    project = shop()
    lived(project, stores)
    assert put(project, stores, withdrawn(4), source="till", at=at(4)) == []
    sorts(project, stores)
    clock, counted = FixedClock(at(5)), Counter[str]()
    server = Server(project, stores, "crm", clock)
    rng = np.random.default_rng(1)

    def count(outcome: str, many: int) -> None:
        counted[outcome] += many

    sampler = Sampler(project, stores, clock, rng, count=count)
    for leaf in (ADA, BOB):
        sampler.offer(server.kept, leaf, server.get(leaf))
    sampler.close()
    full = Sampler(project, stores, clock, rng, waiting=1, count=count)
    answer = server.get(BOB)
    inbox = sqlite3.connect(stores.home.path / "inbox.sqlite", isolation_level=None)
    inbox.execute("BEGIN IMMEDIATE")  # somebody else writes: who notes has to wait
    for _ in range(9):
        full.offer(server.kept, BOB, answer)
    inbox.execute("ROLLBACK")
    inbox.close()
    full.close()
    assert counted["left_out"] == 1
    assert counted["lost"] == full.lost == lost_samples(stores.online) > 0
    assert counted.total() == 11


def test_who_took_back_a_consent_is_not_noted(stores: Stores) -> None:
    project = shop()
    lived(project, stores)
    gone = withdrawn(4)
    assert put(project, stores, gone, source="till", at=at(4)) == []
    sorts(project, stores)
    Updater(project, stores, FixedClock(at(4))).catch_up()
    told(project, stores, ADA, BOB)
    verified(project, stores)
    rows = read(project, stores, "features_served", "audit").to_pylist()
    assert [row["leaf_email"] for row in rows] == [BOB]


def test_answers_that_rest_on_unsorted_rows_wait(stores: Stores) -> None:
    project = shop()
    lived(project, stores)
    late = order(6, "z", "3.00", **by("ada@x.org", 2))
    assert put(project, stores, late, source="till", at=at(6)) == []
    Updater(project, stores, FixedClock(at(6))).catch_up()
    found = verify_told(project, stores, FixedClock(END), np.random.default_rng(1))
    assert (found.answers, found.waiting) == (0, 2)
    assert verified(project, stores).answers == 2


def test_only_answers_about_people_are_noted() -> None:
    by_session = {"entity": "session", "from": "page_viewed", "aggregate": "count"}
    views = {"s": {**VIEW, "entity": "session", "features": ["pages"]}}
    with pytest.raises(DefinitionError, match="names nobody whom an erasure could find"):
        shops.shop(features={"pages": by_session}, feature_views=views)


def test_what_comes_with_a_request_is_noted_and_made_again(stores: Stores) -> None:
    project = shop(
        basket={"entity": "customer", "request": "money"},
        share={"entity": "customer", "expression": "basket / (basket + spend)"},
        hour={"entity": "customer", "expression": "hour_of_day + views"},
    )
    lived(project, stores)
    clock = FixedClock(at(5))
    server = Server(project, stores, "crm", clock)
    sampler = Sampler(project, stores, clock, np.random.default_rng(1))
    for request in ({"basket": 2.85}, {}):
        sampler.offer(server.kept, ADA, server.get(ADA, request=request), request)
    sampler.close()
    found = verified(project, stores)
    assert (found.answers, found.beside, found.causes) == (4, {}, {})
    assert found.values == found.equal == 32
    rows = read(project, stores, "features_served", "audit").to_pylist()
    assert {row["request"] for row in rows} == {'{"basket":2.85}', "{}"}


def test_what_cannot_be_made_again_is_counted_with_the_reason(stores: Stores) -> None:
    goods = {"key": ["country"], "description": "A land", "properties": LAND}
    project = shops.shop(
        entities={"land": goods},
        features={
            "views": FEATURES["views"],
            "basket": {"entity": "customer", "request": "money"},
            "share": {"entity": "customer", "expression": "basket / views"},
            "country": {"entity": "customer", "request": "string"},
            "tax": {"entity": "customer", "expression": "land.tax * views"},
        },
        feature_views={"crm": {**VIEW, "features": ["views", "share", "tax"]}},
    )
    lived(project, stores)
    told(project, stores, BOB)
    sorts(project, stores)
    (noted,) = read(project, stores, "features_served", "audit").to_pylist()
    names = noted["features"]
    before = Told(
        by="view",
        name="crm",
        key=(BOB,),
        purpose="ads",
        values=values_in(noted["feature_snapshot"], names),
        versions=dict(zip(names, noted["versions"], strict=True)),
        rules=noted["rules"],
        time=noted["features_as_of"],
        offset=noted["known_offset"],
        entity="customer",
    )
    found = verify(project, stores, [before], END, None)
    assert (found.answers, found.values, found.equal) == (1, 1, 1)
    assert found.beside == {"share": 1, "tax": 1}
    assert found.why == {
        "share": "what came with the request was not noted",
        "tax": "it reads reference data",
    }


def test_an_older_version_is_proved_as_long_as_it_is_served(stores: Stores) -> None:
    old = shop()
    lived(old, stores)
    put_to_use(old, stores.ledger, "test", at(4))
    name = f"crm@{view_version(old, 'crm')[:8]}"
    features = {**FEATURES, "spend": {**SPENT, "aggregate": "max"}}
    views = {"crm": {**VIEW, "features": list(features), "also": [name]}}
    project = shops.shop(features=features, feature_views=views)
    Updater(project, stores, FixedClock(at(4))).catch_up()
    clock = FixedClock(at(5))
    sampler = Sampler(project, stores, clock, np.random.default_rng(1))
    for view in ("crm", name):
        server = Server(project, stores, view, clock)
        sampler.offer(server.kept, ADA, server.get(ADA))
    sampler.close()
    assert sampler.lost == 0
    found = verified(project, stores)
    assert found.holds
    assert (found.answers, found.changed) == (6, {})  # two noted, and of each version two kept
    assert found.values == found.equal == 30
    space = kept_view(old, "crm").space
    (body,), progress = stores.online.get(space, [ADA])
    assert body is not None
    assert progress is not None
    altered = Changes(progress, [(ADA, body.replace(b"715000000", b"915000000"))])
    stores.online.apply({space: altered}, progress.offset, progress.at)
    wrong = verified(project, stores)
    assert {(one.by, one.name) for one in wrong.differences} == {("kept", name)}


def test_an_erasure_explains_nothing_that_it_did_not_touch(stores: Stores) -> None:
    """Of a visitor, what is read is all that counts: a page's erasure changes no order."""
    spend = {**SPENT, "entity": "visitor", "aggregate": "sum"}
    view = {**VIEW, "purpose": "accounting", "entity": "visitor", "features": ["spend"]}
    project = shops.shop(
        features={"spend": spend}, feature_views={"crm": view}, identifiers=VISITORS
    )
    device = leaf_key("device", "d1")
    bought = order(1, "x", "7.10", **by("ada@x.org", 1, device="d1"))
    seen = event("page_viewed", 2, **by("bob@x.org", 1))
    assert put(project, stores, bought, seen, source="till", at=at(3)) == []
    sorts(project, stores)
    Updater(project, stores, FixedClock(at(4))).catch_up()
    space = kept_view(project, "crm").space
    (body,), progress = stores.online.get(space, [device])
    assert body is not None
    assert progress is not None
    altered = Changes(progress, [(device, body.replace(b"710000000", b"910000000"))])
    stores.online.apply({space: altered}, progress.offset, progress.at)
    told(project, stores, device)
    sorts(project, stores)
    with stores.home.hold("test"):
        erase_one(project, stores, "email:bob@x.org")
    found = verified(project, stores)
    assert found.causes == {"unexplained": 2}  # noted, and kept


def test_whose_row_is_marked_waits_for_the_next_step(stores: Stores) -> None:
    """Also where another identifier's row is marked of the same customer."""
    project = shop()
    lived(project, stores)
    both = event("page_viewed", 7, **by("ada@x.org", 3, device="d2"))
    assert put(project, stores, both, source="till", at=at(4)) == []
    sorts(project, stores)
    Updater(project, stores, FixedClock(at(4))).catch_up()
    kept = kept_view(project, "crm")
    device = leaf_key("device", "d2")
    assert verified(project, stores).answers == 2
    mark(stores, kept, [(device,)])
    assert verified(project, stores).answers == 1
    Updater(project, stores, FixedClock(at(4))).catch_up()
    assert verified(project, stores).answers == 2
