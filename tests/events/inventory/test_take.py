"""The inventory against a slow count of the very envelopes that were sent."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.consent.gaps import consent_gaps
from liftwerk.events.inventory.shapes import EventFacts, Gap, Inventory, SourceFacts
from liftwerk.events.inventory.take import take_inventory
from liftwerk.events.schema import schema_of
from liftwerk.store.home import Home
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import NOW, SHOP, event, granted, order, put

LATER = FixedClock(NOW + timedelta(days=1))
SPACES = {"email": {"normalise": "email"}, "device": {"normalise": "none", "anonymous": True}}


@pytest.fixture(scope="module")
def shop() -> Project:
    return shops.shop(identifiers=SPACES)


def take(shop: Project, stores: Stores, since: datetime | None = None) -> Inventory:
    return take_inventory(shop, stores, LATER, since)


def named(found: Inventory, name: str) -> EventFacts:
    [one] = [one for one in found.events if one.name == name]
    return one


def source(found: Inventory, name: str) -> SourceFacts:
    [one] = [one for one in found.sources if one.name == name]
    return one


def gaps(found: Inventory, kind: str) -> list[Gap]:
    return [one for one in found.gaps if one.kind == kind]


CONSENTS = st.sampled_from([None, granted(), granted("ads"), granted("ads", "personalisation")])
IDENTIFIERS = st.sampled_from(
    [{"email": "ada@example.com"}, {"device": "d1"}, {"email": "bob@example.com", "device": "d2"}]
)
ONE = st.fixed_dictionaries(
    {
        "order": st.booleans(),
        "source": st.sampled_from(["web", "till"]),
        "identifiers": IDENTIFIERS,
        "consent": CONSENTS,
        "session": st.sampled_from([None, "s1", "s2"]),
        "weight": st.sampled_from([1.0, 4.0]),
        "synthetic": st.booleans(),
        "discount": st.booleans(),
        "at": st.integers(min_value=0, max_value=5),
    }
)


def sent(number: int, one: dict[str, Any]) -> dict[str, Any]:
    fields = {
        key: one[key]
        for key in ("identifiers", "consent", "session", "weight", "synthetic")
        if one[key] is not None
    }
    if not one["order"]:
        return event(number=number, **fields)
    properties = {}
    if one["discount"]:
        properties["discount"] = "-1"
    return order(number, f"o{number}", properties=properties, **fields)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(many=st.lists(ONE, max_size=12), since=st.sampled_from([None, 2]))
def test_it_counts_as_slowly_as_a_person_would(
    shop: Project, tmp_path_factory: pytest.TempPathFactory, many: list[Any], since: int | None
) -> None:
    home = Home.open(tmp_path_factory.mktemp("home") / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        for number, one in enumerate(many):
            at = NOW + one["at"] * timedelta(hours=1)
            assert put(shop, stores, sent(number + 1, one), source=one["source"], at=at) == []
        compact(shop, stores, LATER)
        bound = None
        if since is not None:
            bound = NOW + since * timedelta(hours=1)
        found = take(shop, stores, bound)
        told = consent_gaps(shop, stores).to_pylist()
    inside = [one for one in many if since is None or one["at"] >= since]
    real = [one for one in inside if not one["synthetic"]]
    assert found.seen.events == len(real)
    assert found.seen.weight == sum(one["weight"] for one in real)
    assert found.seen.synthetic == len(inside) - len(real)
    for name, is_order in (("order_completed", True), ("page_viewed", False)):
        mine = [one for one in real if one["order"] == is_order]
        facts = named(found, name)
        assert facts.seen.events == len(mine)
        known = [one["consent"]["granted"] for one in mine if one["consent"] is not None]
        assert facts.seen.consent.known == len(known)
        assert facts.seen.consent.missing == len(mine) - len(known)
        for purpose, times in facts.seen.consent.granted.items():
            assert times == sum(purpose in one for one in known)
        by_source = Counter(one["source"] for one in mine)
        assert {key: seen.events for key, seen in facts.sources.items() if seen.events} == by_source
        unknown = [one for one in mine if "email" not in one["identifiers"]]
        assert facts.without_customer == len(unknown)
    orders = [one for one in real if one["order"]]
    empty = {one.name: one.nulls for one in named(found, "order_completed").properties}
    assert empty["order_id"] == 0
    assert empty["discount"] == sum(not one["discount"] for one in orders)
    for space in found.identifiers:
        assert space.events == sum(space.name in one["identifiers"] for one in real)
    for name in ("web", "till"):
        sessions: dict[str, bool] = {}
        for one in real:
            if one["source"] == name and one["session"] is not None:
                has = one["consent"] is not None
                sessions[one["session"]] = sessions.get(one["session"], False) or has
        facts_of = source(found, name)
        without = sum(not has for has in sessions.values())
        assert (facts_of.sessions, facts_of.sessions_without_consent) == (len(sessions), without)
    if since is None:
        listed = gaps(found, "event without consent state")
        mine_too = {(one.source, one.event): (one.count, one.of) for one in listed}
        assert mine_too == {(o["source"], o["event"]): (o["events"], o["of"]) for o in told}


def test_latency_is_told_by_leg(shop: Project, stores: Stores) -> None:
    """A row is readable since the first snapshot that reached it, whatever comes afterwards."""
    put(shop, stores, event(number=1, time="2026-03-01T09:29:50Z"))
    compact(shop, stores, FixedClock(NOW + timedelta(seconds=4)))
    put(shop, stores, event(number=2, time="2026-03-01T09:30:30Z"), at=NOW + timedelta(seconds=60))
    compact(shop, stores, FixedClock(NOW + timedelta(seconds=64)))
    compact(shop, stores, FixedClock(NOW + timedelta(days=9)))
    latency = source(take(shop, stores), "till").seen.latency
    assert latency.to_us is not None
    assert latency.to_readers is not None
    assert latency.to_us.p50 == pytest.approx(10, rel=0.01)
    assert latency.to_us.p99 == pytest.approx(30, rel=0.01)
    assert latency.to_readers.p50 == pytest.approx(4, rel=0.01)
    assert latency.to_readers.p99 == pytest.approx(4, rel=0.01)


def test_what_was_imported_is_as_old_as_it_is(shop: Project, stores: Stores) -> None:
    put(shop, stores, event(number=1), source="file")
    compact(shop, stores, LATER)
    found = source(take(shop, stores), "file")
    assert found.seen.latency.to_us is None
    assert found.seen.latency.to_readers is not None
    assert found.silence.state == "unknown"


def test_gaps_name_what_is_missing(shop: Project, stores: Stores) -> None:
    put(shop, stores, order(1, identifiers={"device": "d"}, session="s", consent=granted("ads")))
    put(shop, stores, order(2, "o2", session="s2", properties={"discount": "-1"}))
    unreadable = {"tcf": "?"}
    assert put(shop, stores, event(number=3, consent=unreadable)) == []
    bodies = [b'{"name":"order_complete"}', b'{"name":"page_viewed","coupon":1}']
    refused = admit(bodies, schema_of(shop), "web", NOW).refused
    stores.inbox.quarantine_put(
        [Rejected("web", NOW, one.reason, one.path, bodies[one.index]) for one in refused]
    )
    compact(shop, stores, FixedClock(NOW))
    found = take(shop, stores)
    words = [(one.kind, one.words) for one in found.gaps]
    assert words == [
        ("event never seen", "rated: declared, and never seen"),
        ("property never seen", "order_completed.items: declared, and empty in all 2 events"),
        ("source never seen", "web: declared, and nothing came from it"),
        ("source never seen", "file: declared, and nothing came from it"),
        ("event not declared", "order_complete: not declared, refused once"),
        ("field not declared", "page_viewed.coupon: not declared, refused once"),
        (
            "order without customer",
            "order_completed: 1 of 2 name no customer, only a visitor",
        ),
        (
            "event without consent state",
            "page_viewed from till: 1 of 1 with consent state that could not be read",
        ),
        (
            "event without consent state",
            "order_completed from till: 1 of 2 without consent state",
        ),
        (
            "session without consent state",
            "till: 1 of 2 sessions have no event with consent state",
        ),
    ]
    assert source(found, "web").refused == 2


def test_where_nothing_rests_on_consent_none_is_missed(stores: Stores) -> None:
    shop = shops.shop(purposes={"accounting": {"basis": "legal_obligation"}})
    put(shop, stores, event(number=1, session="s"))
    compact(shop, stores, LATER)
    kinds = {one.kind for one in take(shop, stores).gaps}
    assert not kinds & {"event without consent state", "session without consent state"}


def test_what_was_declared_once_is_found_in_the_tables(shop: Project, stores: Stores) -> None:
    put(shop, stores, event(number=1, identifiers={"device": "d"}))
    compact(shop, stores, LATER)
    events = {name: one for name, one in SHOP["events"].items() if name != "page_viewed"}
    poorer = shops.shop(events=events, identifiers={"email": {"normalise": "email"}})
    found = take(poorer, stores)
    assert "page_viewed: rows are kept (page_viewed_v1), and it is not declared any more" in [
        one.words for one in gaps(found, "event not declared")
    ]
    fewer = shops.shop(identifiers={"email": {"normalise": "email"}})
    assert [one.field for one in gaps(take(fewer, stores), "identifier not declared")] == ["device"]


def test_a_source_that_broke_is_named(stores: Stores) -> None:
    sources = {**SHOP["sources"], "till": {**SHOP["sources"]["till"], "silent_after": "1h"}}
    shop = shops.shop(sources=sources)
    put(shop, stores, event(number=1))
    compact(shop, stores, FixedClock(NOW))
    now = FixedClock(NOW + timedelta(minutes=90))
    [gap] = gaps(take_inventory(shop, stores, now), "source fell silent")
    assert gap.words == "till: nothing for 90 min; 1h is declared"
    now = FixedClock(NOW + timedelta(minutes=50))
    assert gaps(take_inventory(shop, stores, now), "source fell silent") == []


def test_of_nothing_it_says_that_nothing_was_seen(shop: Project, stores: Stores) -> None:
    found = take(shop, stores)
    assert found.snapshot is None
    assert found.seen.events == 0
    assert {one.kind for one in found.gaps} == {
        "event never seen",
        "identifier never seen",
        "source never seen",
    }
