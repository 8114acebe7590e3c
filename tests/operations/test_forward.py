"""Forwarding: nothing lost, nothing overtaken, nothing against a no."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.errors import HomeInUse, ProjectError, UnknownName
from liftwerk.operations.forward import dead_letters, replay
from liftwerk.operations.forward.take import (
    MODELLED,
    NO_CONSENT,
    NOT_IN_SAMPLE,
    TEST_TRAFFIC,
    TOLD_BEFORE,
    WITHDRAWN,
    in_sample,
)
from liftwerk.store.catalogue import Subject
from liftwerk.store.home import FORWARD_LOCK, Home
from liftwerk.store.stores import Stores, open_stores
from tests.connectors import vendors
from tests.connectors.vendors import Asked, Reply, Vendor, serving
from tests.events import shop as shops
from tests.operations.forwarding import HOOK, Shop, is_done, number, numbers

pytestmark = pytest.mark.slow

UNAVAILABLE: Reply = (503, {}, b"")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving(Vendor(vendors.webhook)) as server:
        yield server


@pytest.fixture
def shop(
    stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> Shop:
    made = Shop(stores, clock, monkeypatch)
    made.destinations(crm={**HOOK, "url": vendor.url})
    return made


def test_each_event_is_sent_once_and_in_the_order_of_the_log(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event(), shop.order("bob"), shop.event("bob"), shop.event())
    shop.forward()
    assert numbers(vendor) == [1, 2, 3, 4]
    shop.forward()
    shop.put(shop.event())
    shop.forward()
    assert numbers(vendor) == [1, 2, 3, 4, 5]
    found = shop.status()
    assert (found.state, found.behind, found.delivered) == ("up to date", 0, 5)
    assert found.delivered_last_day == 5
    assert (found.dropped, found.dead) == ({}, {})


def test_a_new_destination_begins_now_unless_it_is_told_otherwise(
    shop: Shop, vendor: Vendor
) -> None:
    shop.destinations(crm={**HOOK, "url": vendor.url, "start": "now"})
    assert shop.status().state == "not started"
    shop.put(shop.event())
    shop.forward()
    shop.put(shop.event())
    shop.forward()
    assert numbers(vendor) == [2]


def test_more_than_the_outbox_holds_goes_out_too(
    shop: Shop, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liftwerk.operations.forward.take.OPEN_MOST", 4)
    shop.put(*[shop.event(name) for name in "abcabcabca"], shop.order("d"))
    shop.forward()
    assert numbers(vendor) == [*range(1, 12)]


# ------------------------------------------------------------------------------- whom we may tell


def test_what_is_not_sent_is_counted_by_its_reason(shop: Shop, vendor: Vendor) -> None:
    shop.withdraw("bob")
    shop.put(
        shop.event(consent=()),
        shop.event(consent=("personalisation",)),
        shop.event("bob"),
        shop.event(synthetic=True),
        shop.event(modelled=True),
        shop.order("ada", "o1"),
        shop.order("ada", "o1"),
        shop.event(),
    )
    shop.forward()
    assert numbers(vendor) == [7, 9]
    assert shop.status().dropped == {
        NO_CONSENT: 2,
        TOLD_BEFORE: 1,
        WITHDRAWN: 1,
        MODELLED: 1,
        TEST_TRAFFIC: 1,
    }


def test_a_withdrawal_between_event_and_sending_is_heard(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event(), shop.event("bob"))
    shop.withdraw()
    shop.forward()
    assert numbers(vendor) == [2]
    assert shop.status().dropped == {WITHDRAWN: 1}


def test_a_withdrawal_while_an_event_waits_is_heard(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event(), shop.event("bob"))
    vendor.down = UNAVAILABLE
    shop.forward()
    assert shop.status().waiting_retry == 2
    shop.withdraw()
    vendor.down = None
    shop.until(is_done)
    assert numbers(vendor) == [2]
    assert shop.status().dropped == {WITHDRAWN: 1}


def test_a_withdrawal_between_two_requests_is_heard(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event("bob"), shop.event("bob"), shop.event())

    def while_it_sends(asked: Asked) -> None:
        vendor.before = None
        shop.withdraw("bob")

    vendor.before = while_it_sends
    shop.forward()
    assert numbers(vendor) == [1, 3]
    assert shop.status().dropped == {WITHDRAWN: 1}


def test_an_order_imported_later_is_not_told_again(shop: Shop, vendor: Vendor) -> None:
    """Readers see the import, the better report, and no longer the one that was sent."""
    shop.put(shop.order("ada", "o1"), source="web")
    shop.forward()
    shop.clock.advance(timedelta(days=30))
    shop.put(shop.order("ada", "o1", time="2026-02-01T00:00:00Z"), source="file")
    shop.put(shop.order("ada", "o2", time="2026-02-01T00:00:00Z"), source="file")
    shop.forward()
    assert numbers(vendor) == [1, 3]
    assert shop.status().dropped == {TOLD_BEFORE: 1}


def test_an_order_imported_while_it_waits_is_told_by_the_import(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.order("ada", "o1"), shop.event(), source="web")
    vendor.down = UNAVAILABLE
    shop.forward()
    shop.put(shop.order("ada", "o1", time="2026-02-01T00:00:00Z"), source="file")
    shop.forward()
    vendor.down = None
    shop.until(is_done)
    assert numbers(vendor) == [2, 3]
    assert shop.status().dropped == {TOLD_BEFORE: 1}


def test_an_erased_customer_leaves_the_outbox(shop: Shop, vendor: Vendor, stores: Stores) -> None:
    shop.put(shop.event(), shop.event("bob"))
    vendor.down = UNAVAILABLE
    shop.forward()
    (ada,) = {one.lane for one in stores.outbox.due("crm", shop.clock.now() + timedelta(1), 1)}
    assert stores.catalogue.erase(Subject((ada,)))["outbox"].rows == 1
    vendor.down = None
    shop.until(is_done)
    assert numbers(vendor) == [2]


def test_a_sample_is_always_the_same_customers_and_says_their_weight(
    shop: Shop, vendor: Vendor
) -> None:
    shop.destinations(crm={**HOOK, "url": vendor.url, "sample": "1/4"})
    people = [f"c{count}" for count in range(40)]
    shop.put(*[shop.event(who) for who in people])
    shop.forward()
    first = numbers(vendor)
    assert 4 <= len(first) <= 16
    shop.put(*[shop.event(who) for who in people])
    shop.forward()
    assert numbers(vendor) == [*first, *[one + 40 for one in first]]
    assert {asked.json["weight"] for asked in vendor.took} == {4.0}
    assert shop.status().dropped == {NOT_IN_SAMPLE: 80 - 2 * len(first)}


@given(st.binary(min_size=16, max_size=16), st.fractions(0, 1), st.fractions(0, 1))
def test_a_larger_sample_holds_the_smaller_one(lane: bytes, one: object, other: object) -> None:
    small, large = sorted((one, other))  # type: ignore[type-var]
    if in_sample("crm", lane, small):  # type: ignore[arg-type]
        assert in_sample("crm", lane, large)  # type: ignore[arg-type]


def test_an_event_that_is_no_longer_sent_leaves_the_outbox(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event(), shop.order("bob"))
    vendor.down = UNAVAILABLE
    shop.forward()
    vendor.down = None
    shop.destinations(crm={**HOOK, "url": vendor.url, "events": ["order_completed"]})
    shop.until(is_done)
    assert numbers(vendor) == [2]
    assert shop.status().dropped == {"an event that is no longer sent there": 1}


# ------------------------------------------------------------------------------- when it fails


def test_what_fails_holds_up_its_customer_and_nobody_else(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event(), shop.event("bob"), shop.event(), shop.event("bob"), shop.event())
    vendor.answers.append(UNAVAILABLE)
    shop.forward()
    assert numbers(vendor) == [2, 4]
    found = shop.status()
    assert (found.behind, found.waiting_retry) == (3, 1)
    assert found.next_try is not None
    shop.put(shop.event())
    shop.until(is_done)
    assert numbers(vendor) == [2, 4, 1, 3, 5, 6]


def test_the_vendors_retry_after_is_honoured(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event(), shop.event("bob"))
    vendor.answers.append((429, {"Retry-After": "120"}, b""))
    began = shop.clock.now()
    shop.forward()
    assert vendor.asked == 1  # the whole destination waits
    found = shop.status()
    assert found.next_try == began + timedelta(seconds=120)
    assert found.reason == "HTTP 429 Too Many Requests"
    shop.clock.advance(timedelta(seconds=119))
    shop.forward()
    assert vendor.asked == 1
    shop.clock.advance(timedelta(seconds=1))
    shop.forward()
    assert numbers(vendor) == [1, 2]


def test_the_breaker_opens_probes_with_one_request_and_closes(shop: Shop, vendor: Vendor) -> None:
    shop.put(*[shop.event(f"c{count}") for count in range(20)])
    vendor.down = UNAVAILABLE
    shop.forward()
    assert vendor.asked == 5
    found = shop.status()
    assert (found.state, found.behind) == ("open", 20)
    assert found.next_try is not None
    shop.clock.advance(found.next_try - shop.clock.now() - timedelta(microseconds=1))
    shop.forward()
    assert vendor.asked == 5
    shop.clock.advance(timedelta(microseconds=1))
    shop.forward()
    assert vendor.asked == 6
    later = shop.status().next_try
    assert later is not None
    vendor.down = None
    shop.clock.advance(later - shop.clock.now())
    shop.forward()
    assert shop.status().state in ("behind", "up to date")
    shop.until(is_done)
    assert sorted(numbers(vendor)) == [*range(1, 21)]


@pytest.mark.slow
def test_two_days_down_are_caught_up_in_order(shop: Shop, vendor: Vendor) -> None:
    people = ("ada", "bob", "eve")
    owner = {}
    vendor.down = UNAVAILABLE
    for _ in range(8):
        events = [shop.event(who) for who in people]
        for one in events:
            owner[shop.number - 2 + events.index(one)] = one["identifiers"]["email"]
        shop.put(*events)
        shop.forward()
        shop.clock.advance(timedelta(hours=6))
    found = shop.status()
    assert found.state == "open"
    assert found.behind == 24
    assert found.behind_seconds == 48 * 3600
    assert vendor.asked < 16  # a vendor that is down is left alone
    assert found.dead == {}
    vendor.down = None
    shop.until(is_done, timedelta(minutes=5))
    assert sorted(numbers(vendor)) == [*range(1, 25)]
    for who in people:
        own = [one for one in numbers(vendor) if owner[one] == f"{who}@example.com"]
        assert own == sorted(own)


def test_a_refusal_is_a_dead_letter_that_can_be_replayed(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event(), shop.event("bob"), shop.event())
    vendor.answers.append((422, {}, b"ada@example.com is unknown"))
    shop.forward()
    assert numbers(vendor) == [2, 3]
    assert shop.status().dead == {"HTTP 422 Unprocessable Entity": 1}
    (letter,) = dead_letters(shop.project, shop.stores)
    assert letter["id"] == "00000000-0000-0000-0000-000000000001"
    assert letter["reason"] == "HTTP 422 Unprocessable Entity"
    assert (letter["event"], letter["tries"]) == ("page_viewed", 1)
    assert replay(shop.project, shop.stores, shop.clock, reason="another") == 0
    assert replay(shop.project, shop.stores, shop.clock, "crm") == 1
    shop.forward()
    assert numbers(vendor) == [2, 3, 1]
    assert dead_letters(shop.project, shop.stores, "crm") == []
    (entry,) = [one for one in shop.stores.ledger.audit() if one.action == "forward.replay"]
    assert entry.subject == "crm"
    with pytest.raises(UnknownName):
        replay(shop.project, shop.stores, shop.clock, "crn")


def test_a_wrong_secret_keeps_everything_until_it_is_right(
    shop: Shop, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARD_SECRET", "of last year")
    shop.put(*[shop.event(f"c{count}") for count in range(9)])
    shop.forward()
    found = shop.status()
    assert found.state == "open"
    assert found.reason == "HTTP 401 Unauthorized: check url and secret"
    assert (found.dead, vendor.asked) == ({}, 5)
    monkeypatch.setenv("FORWARD_SECRET", vendors.SECRET)
    shop.until(is_done)
    assert sorted(numbers(vendor)) == [*range(1, 10)]


@pytest.mark.slow
def test_an_event_that_breaks_the_vendor_is_given_up_and_holds_up_nobody(
    shop: Shop, vendor: Vendor
) -> None:
    rules = vendor.rules
    vendor.rules = lambda asked: UNAVAILABLE if number(asked) == 1 else rules(asked)
    shop.put(shop.event(), shop.event("bob"))
    for _ in range(20):
        shop.put(shop.event("bob"))
        shop.forward()
        shop.clock.advance(timedelta(minutes=16))
        if shop.status().dead:
            break
    assert shop.status().dead == {"given up: HTTP 503 Service Unavailable": 1}
    assert numbers(vendor) == [*range(2, shop.number + 1)]


def test_only_events_that_wait_alone_are_tried_for_ever(shop: Shop, vendor: Vendor) -> None:
    shop.put(shop.event())
    vendor.down = UNAVAILABLE
    for _ in range(20):
        shop.forward()
        shop.clock.advance(timedelta(minutes=16))
    assert shop.status().dead == {}
    vendor.down = None
    shop.forward()
    assert numbers(vendor) == [1]


@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    failures=st.lists(st.sampled_from([0, 0, 400, 429, 500, 503]), max_size=15),
    seed=st.integers(0, 2**16),
)
def test_whatever_fails_each_event_has_one_end_and_nobody_is_overtaken(
    people: list[str],
    failures: list[int],
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    vendor: Vendor,
) -> None:
    vendor.took.clear()
    clock = shops.clock()
    home = Home.open(tmp_path_factory.mktemp("shop") / "home", create=True)
    with home.hold("test"), open_stores(home) as stores:
        shop = Shop(stores, clock, monkeypatch, seed)
        shop.destinations(crm={**HOOK, "url": vendor.url})
        shop.put(*[shop.event(who) for who in people])
        vendor.answers.clear()
        plan = iter(failures)

        def fail_as_planned(asked: Asked) -> None:
            status = next(plan, 0)
            if status:
                vendor.answers.append((status, {}, b""))

        vendor.before = fail_as_planned
        shop.until(is_done, timedelta(minutes=1))
        dead = [entry.offset for _, entry in stores.outbox.dead()]
        assert sorted([*numbers(vendor), *dead]) == [*range(1, len(people) + 1)]
        for who in set(people):
            own = [one for one in numbers(vendor) if people[one - 1] == who]
            assert own == sorted(own)


# ------------------------------------------------------------------------------- batches


def test_one_bad_event_does_not_spoil_a_batch(
    stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Vendor(vendors.meta(clock.now))) as meta:
        shop = Shop(stores, clock, monkeypatch)
        there = {
            "kind": "meta",
            "purpose": "ads",
            "secret_env": "FORWARD_SECRET",
            "dataset_id": "1",
            "action_source": "system_generated",
            "start": "beginning",
            "url": meta.url,
            "identifiers": {"em": "email"},
            "events": [
                {
                    "event": "order_completed",
                    "name": "Purchase",
                    "properties": {"value": "revenue", "currency": "order_id"},
                },
                "page_viewed",
            ],
        }
        shop.destinations(ads=there)
        old = (clock.now() - timedelta(days=8)).isoformat()
        orders = [shop.order(f"c{count}", "EUR" if count else "Euro") for count in range(1)]
        views = [shop.event(f"c{count}") for count in range(30)]
        shop.put(*views[:17], *orders, *views[17:], shop.event(time=old))
        shop.forward()
        ids = [event["event_id"] for asked in meta.took for event in asked.json["data"]]
        assert sorted(ids) == sorted(one["id"] for one in views)
        found = shop.status()
        reason = "HTTP 400, code 100/2804010: Missing Currency for Purchase Event"
        assert found.dead == {reason: 1}
        assert found.dropped == {"too old for the vendor (7 days)": 1}
        assert found.delivered == 30
        assert meta.asked < 16


def test_google_analytics_is_told_in_requests_of_one_client(
    stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Vendor(vendors.ga4(clock.now))) as ga4:
        shop = Shop(stores, clock, monkeypatch)
        there = {
            "kind": "ga4",
            "purpose": "ads",
            "secret_env": "FORWARD_SECRET",
            "measurement_id": "G-1",
            "start": "beginning",
            "url": ga4.url,
            "identifiers": {"user_id": "email"},
            "events": ["page_viewed"],
        }
        shop.destinations(analytics=there)
        old = (clock.now() - timedelta(hours=73)).isoformat()
        shop.put(*[shop.event("ada" if count % 2 else "bob") for count in range(60)])
        shop.put(shop.event(time=old))
        shop.forward()
        assert ga4.refused == []
        sizes = [(asked.json["user_id"][:3], len(asked.json["events"])) for asked in ga4.took]
        assert sizes == [("bob", 25), ("ada", 25), ("bob", 5), ("ada", 5)]
        assert shop.status().dropped == {"too old for the vendor (72 hours)": 1}
        for asked in ga4.took:
            ids = [event["params"]["event_id"] for event in asked.json["events"]]
            assert ids == sorted(ids)


# ------------------------------------------------------------------------------- speed and company


def test_no_more_is_sent_than_the_rate_allows(shop: Shop, vendor: Vendor) -> None:
    shop.destinations(crm={**HOOK, "url": vendor.url, "rate_limit": "120/min"})
    came: list[object] = []
    vendor.before = lambda asked: came.append(shop.clock.now())
    shop.put(*[shop.event(f"c{count}") for count in range(21)])
    began = shop.clock.now()
    shop.forward()
    assert len(numbers(vendor)) == 21
    # Two at once, then two a second.
    assert shop.clock.now() - began == timedelta(seconds=9.5)
    assert max(Counter(came).values()) == 2


def test_one_that_is_down_holds_up_no_other(shop: Shop, vendor: Vendor) -> None:
    with serving(Vendor(vendors.webhook, down=UNAVAILABLE)) as other:
        shop.destinations(erp={**HOOK, "url": other.url}, crm={**HOOK, "url": vendor.url})
        shop.put(*[shop.event(f"c{count}") for count in range(8)])
        shop.forward()
        assert numbers(vendor) == [*range(1, 9)]
        assert (shop.status(0).state, shop.status(1).state) == ("open", "up to date")
        other.down = None
        shop.until(is_done)
        assert sorted(numbers(other)) == [*range(1, 9)]
        assert len(numbers(vendor)) == 8


def test_one_that_answers_late_is_not_waited_for_by_the_other(shop: Shop, vendor: Vendor) -> None:
    """The slow one answers only when the other has everything: one after the other would hang."""
    everything = threading.Event()
    with serving(Vendor(vendors.webhook)) as slow:
        slow.before = lambda asked: bool(everything.wait(20)) and None
        vendor.before = lambda asked: everything.set() if number(asked) == 3 else None
        shop.destinations(erp={**HOOK, "url": slow.url}, crm={**HOOK, "url": vendor.url})
        shop.put(shop.event(), shop.event(), shop.event())
        shop.forward()
        assert everything.is_set()
        assert numbers(slow) == [1, 2, 3]


def test_only_one_forwards_at_a_time(shop: Shop) -> None:
    with (
        shop.stores.home.hold("forward", FORWARD_LOCK),
        pytest.raises(HomeInUse, match=r"\(forward\) holds it"),
    ):
        shop.forward()


def test_what_cannot_start_says_so_in_a_line(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORWARD_SECRET")
    with pytest.raises(ProjectError, match="no secret for 'crm'"):
        shop.forward()
    with pytest.raises(UnknownName, match="did you mean 'crm'"):
        shop.forward("crn")
    shop.destinations()
    with pytest.raises(UnknownName, match="no destination is declared"):
        shop.forward()
