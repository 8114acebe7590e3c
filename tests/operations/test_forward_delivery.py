"""Delivery fields: sealed beside the outbox, sent once, and gone from every byte of the home."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liftwerk.clock import FixedClock
from liftwerk.connectors.destinations.delivery import wanted_of
from liftwerk.events.collect import Collected, Collector
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.governance.catalogue import fill_catalogue
from liftwerk.operations.forward import replay
from liftwerk.operations.forward.take import NO_CONSENT, WITHDRAWN
from liftwerk.project.upkeep import upkeep
from liftwerk.store.catalogue import Subject
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.connectors import vendors
from tests.connectors.vendors import Reply, Vendor, serving
from tests.events import shop as shops
from tests.operations.forwarding import Shop, is_done
from tests.system.byte_search import canaries_in, forms_of

pytestmark = pytest.mark.slow

ADA = leaf_key("email", "ada@example.com")
ADDRESS = "203.0.113.77"
META: dict[str, Any] = {
    "kind": "meta",
    "purpose": "ads",
    "secret_env": "FORWARD_SECRET",
    "dataset_id": "123",
    "action_source": "website",
    "start": "beginning",
    "events": [
        {
            "event": "order_completed",
            "name": "Purchase",
            "properties": {"value": "revenue", "order_id": "order_id"},
        },
    ],
    "identifiers": {"em": "email"},
    "delivery": ["client_user_agent", "client_ip_address", "fbc", "fbp", "event_source_url"],
}
UNAVAILABLE: Reply = (503, {}, b"")
GONE = "no client_user_agent: it did not come with the event, or is kept no longer"


@pytest.fixture
def vendor(clock: FixedClock) -> Iterator[Vendor]:
    with serving(Vendor(vendors.meta(clock.now))) as server:
        yield server


@pytest.fixture
def shop(
    stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> Shop:
    made = Shop(stores, clock, monkeypatch)
    made.destinations(ads={**META, "url": vendor.url})
    return made


def canary() -> str:
    return f"cnry{secrets.token_hex(16)}"


def brought(**more: str) -> dict[str, str]:
    return {
        "client_user_agent": f"Mozilla/5.0 ({canary()})",
        "client_ip_address": ADDRESS,
        "fbc": f"fb.1.2.{canary()}",
        "event_source_url": f"https://shop.example/{canary()}",
        **more,
    }


def collect(shop: Shop, *events: dict[str, Any], sort: bool = True) -> Collected:
    """Let events in by the door, as a server does."""
    collector = Collector(shop.project, shop.stores, shop.clock, wanted=wanted_of(shop.project))
    bodies = [msgspec.json.encode(one) for one in events]
    done = asyncio.run(collector.collect(bodies, "till"))
    collector.close()
    if sort:
        compact(shop.project, shop.stores, shop.clock)
    return done


def sealed(shop: Shop, who: bytes = ADA) -> int:
    return len(shop.stores.outbox.sealed_about([who]))


def found_in(home: Path) -> set[str]:
    """Files of a home in which something is that came for a delivery."""
    plain, packed = ADDRESS.encode(), ipaddress.ip_address(ADDRESS).packed
    return {
        path.relative_to(home).as_posix()
        for path in home.rglob("*")
        if path.is_file()
        for form in forms_of(path)
        if canaries_in(form) or plain in form or packed in form or b"Mozilla" in form
    }


def test_they_are_sent_and_then_gone_from_every_byte(shop: Shop, vendor: Vendor) -> None:
    home = shop.stores.home.path
    said = brought()
    collect(shop, shop.order(delivery=said), sort=False)
    assert sealed(shop) == 1
    assert found_in(home) == set()
    [key] = (home / "keys").iterdir()
    assert key.name == "2026-03-01"
    assert key.stat().st_mode & 0o777 == 0o600
    compact(shop.project, shop.stores, shop.clock)
    assert found_in(home) == set()
    shop.forward()
    [asked] = vendor.took
    [told] = asked.json["data"]
    assert told["event_source_url"] == said.pop("event_source_url")
    assert {field: told["user_data"][field] for field in said} == said
    assert sealed(shop) == 0
    assert found_in(home) == set()
    assert shop.status().delivered == 1
    # The search itself finds what is there.
    (home / "notes").write_bytes(str(said).encode())
    assert found_in(home) == {"notes"}
    shop.clock.advance(timedelta(days=2))
    shop.forward()
    assert not key.exists()


def test_nothing_is_kept_of_what_no_destination_may_have(shop: Shop) -> None:
    done = collect(
        shop,
        shop.order(consent=(), order_id="o1", delivery=brought()),
        shop.order(consent=("personalisation",), order_id="o2", delivery=brought()),
        shop.order(order_id="o3", synthetic=True, delivery=brought()),
        shop.event(delivery=brought()),
        shop.order(order_id="o4", delivery={}),
        {**shop.order(order_id="o5", delivery=brought()), "consent": None},
    )
    assert (done.accepted, done.refused) == (6, [])
    assert sealed(shop) == 0
    assert not (shop.stores.home.path / "keys").exists()
    shop.forward()
    assert shop.status().dropped[NO_CONSENT] == 3


def test_what_is_refused_goes_to_quarantine_without_them(shop: Shop) -> None:
    good = shop.order(delivery=brought())
    bad = [
        {**shop.order(), "delivery": brought(client_ip_address="somewhere")},
        {**shop.order(), "delivery": brought(cookie=canary())},
        {**shop.order(delivery=brought()), "properties": {"order_id": "o9"}},
    ]
    done = collect(shop, good, *bad)
    assert [one.index for one in done.refused] == [1, 2, 3]
    broken = msgspec.json.encode(shop.order(delivery=brought()))[:-1]
    collector = Collector(shop.project, shop.stores, shop.clock, wanted=wanted_of(shop.project))
    asyncio.run(collector.collect([broken], "till"))
    collector.close()
    assert sealed(shop) == 1
    assert found_in(shop.stores.home.path) == set()


def test_without_a_declaration_the_door_takes_none(shop: Shop, vendor: Vendor) -> None:
    bare = {key: value for key, value in META.items() if key != "delivery"}
    shop.destinations(ads={**bare, "action_source": "other", "url": vendor.url})
    [refused] = collect(shop, shop.order(delivery=brought())).refused
    assert refused.reason == "order_completed.delivery: no destination declares delivery fields"
    assert found_in(shop.stores.home.path) == set()


def test_sent_again_it_is_one_event(shop: Shop, vendor: Vendor) -> None:
    first = shop.order(delivery=brought())
    collect(shop, first, {**first, "delivery": brought()})
    collect(shop, {**first, "delivery": brought()})
    assert sealed(shop) == 1
    assert shop.stores.inbox.quarantine_count() == {}
    shop.forward()
    [asked] = vendor.took
    assert asked.json["data"][0]["user_data"]["fbc"] == first["delivery"]["fbc"]


# ---------------------------------------------------------------------------- how they end


def test_they_wait_for_a_vendor_that_is_down(shop: Shop, vendor: Vendor) -> None:
    collect(shop, shop.order(delivery=brought()))
    vendor.down = UNAVAILABLE
    shop.forward()
    assert (sealed(shop), shop.status().waiting_retry) == (1, 1)
    vendor.down = None
    shop.until(is_done)
    assert (sealed(shop), len(vendor.took)) == (0, 1)


@pytest.mark.parametrize("taken", [False, True], ids=["in the log", "in the outbox"])
def test_a_withdrawal_before_the_sending_takes_them_along(
    shop: Shop, vendor: Vendor, taken: bool
) -> None:
    collect(shop, shop.order(delivery=brought()))
    if taken:
        vendor.down = UNAVAILABLE
        shop.forward()
        vendor.down = None
    shop.withdraw()
    shop.clock.advance(timedelta(hours=1))
    shop.forward()
    assert shop.status().dropped == {WITHDRAWN: 1}
    assert sealed(shop) == 0
    assert vendor.took == []


def test_what_expired_is_gone_and_the_event_dropped_by_its_reason(
    shop: Shop, vendor: Vendor
) -> None:
    collect(shop, shop.order(delivery=brought()))
    vendor.down = UNAVAILABLE
    shop.forward()
    vendor.down = None
    shop.clock.advance(timedelta(days=2, seconds=-1))
    shop.stores.expire(shop.clock.now())
    assert sealed(shop) == 1
    shop.clock.advance(timedelta(seconds=1))
    shop.forward()
    assert shop.status().dropped == {GONE: 1}
    assert vendor.took == []
    assert sealed(shop) == 0
    assert list((shop.stores.home.path / "keys").iterdir()) == []


def test_what_nobody_forwards_expires_with_the_upkeep(shop: Shop) -> None:
    collect(shop, shop.order(delivery=brought()))
    shop.clock.advance(timedelta(days=2))
    upkeep(shop.project, shop.stores, "test", shop.clock, shop.clock.now())
    assert sealed(shop) == 0
    assert list((shop.stores.home.path / "keys").iterdir()) == []


def test_an_event_that_came_without_them_is_dropped_by_its_reason(
    shop: Shop, vendor: Vendor
) -> None:
    plain = brought()
    del plain["event_source_url"]
    collect(shop, shop.order(), shop.order(order_id="o2", delivery=plain))
    shop.forward()
    page = GONE.replace("client_user_agent", "event_source_url")
    assert shop.status().dropped == {GONE: 1, page: 1}
    assert vendor.took == []
    assert sealed(shop) == 0


def test_a_final_refusal_ends_them_too(shop: Shop, vendor: Vendor) -> None:
    collect(shop, shop.order(delivery=brought()))
    vendor.answers.append((400, {}, vendors.meta_error(100, 2804003, "Missing parameter")))
    shop.forward()
    assert list(shop.status().dead.values()) == [1]
    assert sealed(shop) == 0
    assert replay(shop.project, shop.stores, shop.clock) == 1
    shop.forward()
    assert shop.status().dropped == {GONE: 1}


def test_an_erased_customer_takes_them_along(shop: Shop, vendor: Vendor) -> None:
    collect(shop, shop.order(delivery=brought()), shop.order("bob", "o2", delivery=brought()))
    catalogue = fill_catalogue(shop.project, shop.stores, shop.clock)
    [told] = catalogue.export(Subject((ADA,)))["delivery fields"]
    assert (told["destination"], told["state"]) == ("ads", "sealed")
    assert catalogue.erase(Subject((ADA,)))["delivery fields"].fields == {"leaves": 1}
    assert sealed(shop) == 0
    assert sealed(shop, leaf_key("email", "bob@example.com")) == 1
    assert catalogue.unregistered(shop.stores.home) == []
    assert ADA.hex().encode() not in (shop.stores.home.path / "outbox.sqlite").read_bytes()


def test_without_its_key_nothing_opens(shop: Shop, vendor: Vendor) -> None:
    collect(shop, shop.order(delivery=brought()))
    for key in (shop.stores.home.path / "keys").iterdir():
        key.unlink()
    shop.forward()
    assert shop.status().dropped == {GONE: 1}


def test_for_another_purpose_or_destination_nothing_opens(shop: Shop, vendor: Vendor) -> None:
    collect(shop, shop.order(delivery=brought()))
    shop.destinations(ads={**META, "purpose": "measurement", "url": vendor.url})
    shop.forward()
    assert shop.status().dropped == {GONE: 1}


def test_each_destination_gets_what_it_declares(shop: Shop, vendor: Vendor) -> None:
    with serving(Vendor(vendors.meta(shop.clock.now))) as other:
        few = {**META, "action_source": "other", "delivery": ["fbp"], "url": other.url}
        shop.destinations(ads={**META, "url": vendor.url}, more=few)
        collect(shop, shop.order(delivery=brought(fbp="fb.1.2.3")))
        assert sealed(shop) == 2
        shop.forward()
        [asked], [more] = vendor.took, other.took
    assert set(asked.json["data"][0]["user_data"]) == {"em", *META["delivery"]} - {
        "event_source_url"
    }
    assert set(more.json["data"][0]["user_data"]) == {"em", "fbp"}
    assert sealed(shop) == 0


def test_with_the_inbox_on_a_server_they_stay_in_the_home(
    shop: Shop, vendor: Vendor, postgresql_url: str, tmp_path: Path
) -> None:
    destinations = {"ads": {**META, "url": vendor.url}}
    shop.project = shops.shop(tmp_path, store={"inbox": postgresql_url}, destinations=destinations)
    home = Home.of(shop.project, create=True)
    with open_stores(home) as stores, home.hold("test"):
        shop.stores = stores
        collect(shop, shop.order(delivery=brought()), sort=False)
        assert sealed(shop) == 1
        assert canaries_in(str(stores.inbox.read(0, 10).to_pylist()).encode()) == set()
        compact(shop.project, stores, shop.clock)
        shop.forward()
        assert (sealed(shop), len(vendor.took)) == (0, 1)
        assert found_in(home.path) == set()
