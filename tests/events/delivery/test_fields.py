"""Delivery fields at the door: checked with the event, then gone from all that is kept of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import InputError
from liftwerk.events.admit import Admitted, admit, digest
from liftwerk.events.append import append_event
from liftwerk.events.delivery.fields import FIELDS, without_delivery
from liftwerk.events.json_schema import event_schema
from liftwerk.events.schema import schema_of
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import NOW, event, granted

AGENT = "Mozilla/5.0 (X11; Linux x86_64)"
ALL = tuple(sorted(FIELDS))


def admitted(shop: Project, delivery: Any, fields: tuple[str, ...] = ALL, **more: Any) -> Admitted:
    body = msgspec.json.encode(event(delivery=delivery, **more))
    return admit([body], schema_of(shop, fields), "till", NOW)


def test_they_are_beside_the_event_and_not_in_it(shop: Project) -> None:
    said = {"client_user_agent": AGENT, "client_ip_address": "192.0.2.7"}
    done = admitted(shop, said, consent=granted("ads"))
    plain = admit(
        [msgspec.json.encode(event(consent=granted("ads")))], schema_of(shop), "till", NOW
    )
    # So an event that is sent again with others, or without, is the same event.
    assert done.rows == plain.rows
    [carried] = done.carried
    assert carried.fields == said
    assert carried.granted == {"ads"}
    assert carried.event_id == done.rows[0].event_id  # type: ignore[union-attr]
    assert AGENT not in repr(done)
    assert digest(done.rows[0].body) == digest(plain.rows[0].body)  # type: ignore[union-attr]


def test_what_is_not_kept_brings_nothing(shop: Project) -> None:
    said = {"fbc": "fb.1.2.abc"}
    assert admitted(shop, said, synthetic=True).carried == []
    assert admitted(shop, said, modelled=True).carried == []
    assert admitted(shop, said, time="2036-01-01T00:00:00Z").carried == []
    assert admitted(shop, said, properties={"more": 1}).carried == []
    mixed = [event(number=1), event(number=2, delivery=said), {"id": 1}, event(number=3)]
    bodies = [msgspec.json.encode(one) for one in mixed]
    done = admit(bodies, schema_of(shop, ALL), "till", NOW)
    assert [one.event_id[-1] for one in done.carried] == [2]
    assert [one.index for one in done.refused] == [2]


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [
        ({"client_ip_address": "shop"}, "page_viewed.delivery: client_ip_address is not an IP add"),
        ({"client_ip_address": "192.0.2.7/24"}, "client_ip_address is not an IP address"),
        ({"client_ip_address": 1}, "page_viewed.delivery.client_ip_address: expected `str"),
        ({"client_user_agent": ""}, "client_user_agent: expected `str` of length >= 1"),
        ({"client_user_agent": "x" * 513}, "client_user_agent: expected `str` of length <= 512"),
        ({"client_user_agent": "a\r\nb"}, "client_user_agent is not text"),
        ({"event_source_url": "javascript:1"}, "event_source_url is not an address such as"),
        ({"event_source_url": "https://[x"}, "event_source_url is not an address such as"),
        ({"email": "ada@example.com"}, "no destination declares the field 'email'"),
        ("fbc", "page_viewed.delivery: expected `object | null`"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(
    shop: Project, delivery: Any, reason: str
) -> None:
    [refused] = admitted(shop, delivery).refused
    assert reason in refused.reason
    assert refused.path.startswith("$.delivery")
    assert "192.0.2" not in refused.reason


def test_only_what_a_destination_declares_is_taken(shop: Project) -> None:
    said = {"client_user_agent": AGENT, "fbc": "fb.1.2.abc"}
    [refused] = admitted(shop, said, ("client_user_agent",)).refused
    assert refused.reason == "page_viewed.delivery: no destination declares the field 'fbc'"
    [refused] = admitted(shop, said, ()).refused
    assert refused.reason == "page_viewed.delivery: no destination declares delivery fields"


def test_older_versions_of_an_event_carry_them_too(shop: Project) -> None:
    rated = shops.SHOP["events"]["rated"]
    first = {"version": 1, "properties": {"stars": rated["properties"]["stars"]}}
    events = {"rated": {**rated, "version": 2, "earlier": [first]}}
    project = shops.shop(events=events)
    body = event("rated", properties={"stars": 3}, delivery={"fbc": "fb.1.2.abc"})
    done = admit([msgspec.json.encode(body)], schema_of(project, ALL), "till", NOW)
    assert done.refused == []
    assert [one.fields for one in done.carried] == [body["delivery"]]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b'{"id":"1","delivery":{"fbc":"x"}}', b'{"id":"1"}'),
        (b'{"id":"1","\\u0064elivery":{"fbc":"x"}}', b'{"id":"1"}'),
        (b'{"delivery":1,"id":"1","delivery":2}', b'{"id":"1"}'),
        (b'{"id": "1", "name": 2}', b'{"id": "1", "name": 2}'),
        (b'{"id":"1","delivery":{"fbc":"x"', b""),
        (b"{id:'1',delivery:{fbc:'x'}}", b""),
        (b'[{"delivery":{"fbc":"x"}}]', b""),
        (b'{"id":"1","delivery_date":"x"', b'{"id":"1","delivery_date":"x"'),
        (b"\xff", b"\xff"),
        (b"", b""),
    ],
)
def test_what_is_refused_is_kept_without_them(body: bytes, left: bytes) -> None:
    assert without_delivery(body) == left


def test_a_command_refuses_them(shop: Project, stores: Stores, clock: FixedClock) -> None:
    said = event(delivery={"fbc": "fb.1.2.abc"})
    with pytest.raises(InputError, match="no destination declares delivery fields"):
        append_event(shop, stores, said, "till", clock)


def test_the_schema_of_an_event_names_what_is_declared(shop: Project) -> None:
    assert "delivery" not in event_schema(shop, "page_viewed")["properties"]
    document = event_schema(shop, "page_viewed", delivery=("client_user_agent",))
    assert "sealed" in document["properties"]["delivery"]["description"]
    assert list(document["$defs"]["delivery"]["properties"]) == ["client_user_agent"]
    assert document["$defs"]["delivery"]["additionalProperties"] is False
