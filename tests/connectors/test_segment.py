"""Segment's calls, field by field, and Segment's own Python client against the real collector."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from liftwerk.connectors.segment.definition import underscored
from liftwerk.connectors.segment.translate import Calls, bodies, translate
from liftwerk.definitions import Project, load, templates
from liftwerk.errors import DefinitionError
from liftwerk.events.admit import admit
from liftwerk.events.schema import schema_of
from liftwerk.sections import SECTIONS

SHOP = (Path(__file__).parents[1] / "events" / "collecting.toml").read_text()


def shop(folder: Path, more: str = "") -> Project:
    (folder / "liftwerk.toml").write_text(f"{SHOP}\n{more}")
    return load(folder, SECTIONS)


def message(**parts: Any) -> dict[str, Any]:
    return {
        "messageId": "0192f0c1-0000-4000-8000-000000000001",
        "anonymousId": "anon",
        "timestamp": "2026-03-01T09:30:00Z",
        **parts,
    }


def only(project: Project, kind: str, said: dict[str, Any], sent: str | None = None) -> Any:
    [event] = translate(Calls.of(project), kind, said, sent)
    return event


def test_a_track_becomes_its_event(tmp_path: Path) -> None:
    context = {
        "page": {"path": "/cart", "url": "https://shop.example/cart?token=secret"},
        "campaign": {"source": "mail"},
        "ip": "192.0.2.7",
        "userAgent": "Firefox",
        "consent": {"categoryPreferences": {"measurement": True, "ads": True, "other": False}},
    }
    said = message(
        event="Order Completed",
        userId="u1",
        properties={"orderId": 4711, "revenue": 29.99},
        context=context,
    )
    assert only(shop(tmp_path), "track", said, "2026-03-01T09:30:05Z") == {
        "id": "0192f0c1-0000-4000-8000-000000000001",
        "name": "order_completed",
        "version": 1,
        "time": "2026-03-01T09:30:00Z",
        "sent_at": "2026-03-01T09:30:05Z",
        "identifiers": {"customer": "u1", "visitor": "anon"},
        "context": {"page": "/cart", "campaign": {"source": "mail"}},
        "consent": {"granted": ["measurement"], "source": "api"},
        "properties": {"order_id": "4711", "revenue": "29.99"},
    }


def test_what_a_destination_declares_travels_beside_the_event(tmp_path: Path) -> None:
    project = shop(
        tmp_path,
        """
        [destinations.ads]
        kind = "meta"
        purpose = "measurement"
        secret_env = "ADS"
        dataset_id = "1"
        action_source = "other"
        events = ["order_completed"]
        identifiers = { external_id = "customer" }
        delivery = ["client_user_agent", "event_source_url"]
        """,
    )
    page = {"path": "/cart", "url": "https://shop.example/cart"}

    def brought(**context: Any) -> Any:
        said = message(event="Order Completed", userId="u1", context=context)
        return only(project, "track", said).get("delivery")

    assert brought(page=page, ip="192.0.2.7", userAgent="Firefox") == {
        "client_user_agent": "Firefox",
        "event_source_url": "https://shop.example/cart",
    }
    # What could not be sent anyhow must not cost the event.
    assert brought(page={"url": "about:blank"}, userAgent="x" * 513) is None
    assert brought(userAgent=7) is None


def test_names_and_properties_as_the_project_declares_them(tmp_path: Path) -> None:
    project = shop(
        tmp_path,
        """
        [segment]
        identifiers = { anonymousId = "visitor", "traits.memberNumber" = "customer" }
        undeclared = "ignore"
        [segment.events]
        "Purchase" = "order_completed"
        [segment.properties.order_completed]
        revenue = "total"
        [segment.consent]
        C0002 = "measurement"
        """,
    )
    said = message(
        event="Purchase",
        properties={"order_id": "1", "total": 5, "revenue": 7, "coupon": "X"},
        context={
            "traits": {"memberNumber": 7},
            "consent": {"categoryPreferences": {"C0002": True}},
        },
    )
    event = only(project, "track", said)
    assert event["properties"] == {"order_id": "1", "revenue": "5"}
    assert event["identifiers"] == {"visitor": "anon", "customer": "7"}
    assert event["consent"]["granted"] == ["measurement"]


def test_undeclared_properties_are_left_for_admission_to_refuse(tmp_path: Path) -> None:
    said = message(event="Song Played", properties={"songTitle": "A", "mood": "blue"})
    event = only(shop(tmp_path), "track", said)
    assert event["properties"] == {"song_title": "A", "mood": "blue"}


def test_a_page_gives_what_was_asked_for(tmp_path: Path) -> None:
    said = message(name="Cart", properties={"path": "/cart", "url": "https://x", "referrer": ""})
    event = only(shop(tmp_path), "page", said)
    assert (event["name"], event["properties"]) == ("page_viewed", {"path": "/cart"})


def test_identify_and_alias_link_identifiers(tmp_path: Path) -> None:
    project = shop(tmp_path)
    link = only(project, "identify", message(userId="u1", traits={"plan": "gold"}))
    assert link["name"] == "identity_linked"
    assert link["identifiers"] == {"customer": "u1", "visitor": "anon"}
    assert link["properties"] == {"evidence": "identify"}
    alone = {"messageId": "m", "userId": "u1", "timestamp": "2026-03-01T09:30:00Z"}
    assert translate(Calls.of(project), "identify", alone) == []
    alias = only(project, "alias", {"messageId": "m", "userId": "u1", "previousId": "anon"})
    assert alias["identifiers"] == {"customer": "u1", "visitor": "anon"}


def test_one_message_has_one_id_whatever_it_looks_like(tmp_path: Path) -> None:
    calls = Calls.of(shop(tmp_path))
    for said in ("node-next-1700000000-abc", "", None):
        one, two = (
            translate(calls, "page", {"messageId": said, "anonymousId": "a"})[0]["id"]
            for _ in range(2)
        )
        assert one == two
        assert uuid.UUID(one).version == 8


@pytest.mark.parametrize(
    "said", [{}, {"properties": 3, "context": [], "traits": "x"}, {"event": None, "userId": {}}]
)
@pytest.mark.parametrize("kind", ["track", "identify", "page", "screen", "group", "alias"])
def test_nothing_breaks_it(tmp_path: Path, kind: str, said: dict[str, Any]) -> None:
    translate(Calls.of(shop(tmp_path)), kind, said)


def test_spelling() -> None:
    assert underscored("  Product List Filtered!") == "product_list_filtered"
    assert underscored("SKU") == "sku"
    assert underscored("aB2C") == "a_b2_c"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[segment]\nidentifiers = { userid = "customer" }', "userid"),
        ('[segment]\nidentifiers = { userId = "custmer" }', "did you mean 'customer'"),
        ('[segment.events]\nBuy = "order_complete"', "did you mean 'order_completed'"),
        ('[segment.properties.order_completed]\nrevenu = "x"', "did you mean 'revenue'"),
        ('[segment.consent]\nC1 = "measuring"', "did you mean 'measurement'"),
    ],
)
def test_a_wrong_mapping_is_named(tmp_path: Path, more: str, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        shop(tmp_path, more)


PRODUCT = {
    "product_id": "507f1f77bcf86cd799439011",
    "sku": "G-32",
    "name": "Monopoly",
    "price": 19.99,
    "quantity": 1,
    "category": "Games",
}
ORDER = {"order_id": "o1", "total": 27.5, "revenue": 25, "currency": "EUR", "products": [PRODUCT]}
ROW = {"sku": "G-32", "quantity": 1, "price": "19.99"}


@pytest.mark.parametrize(
    ("said", "name", "properties"),
    [
        ("Product Viewed", "product_viewed", {"sku": "G-32", "price": "19.99"}),
        ("Product Added", "added_to_cart", ROW),
        ("Checkout Started", "checkout_started", {"value": "27.5"}),
        ("Order Completed", "order_completed", {"revenue": "27.5", "items": [ROW]}),
        ("Order Refunded", "order_refunded", {"order_id": "o1", "refund": "27.5"}),
    ],
)
def test_segments_shop_events_fit_the_tracking_template(
    tmp_path: Path, said: str, name: str, properties: dict[str, Any]
) -> None:
    templates.write("tracking", tmp_path / "shop")
    project = load(tmp_path / "shop", SECTIONS)
    given = {**PRODUCT, **ORDER, "coupon": "hasbros"}
    event = only(project, "track", message(event=said, properties=given))
    assert event["name"] == name
    assert {key: event["properties"][key] for key in properties} == properties
    [row] = admit(bodies([event]), schema_of(project), "web", datetime.now(UTC)).rows
    assert row is not None


LISTED = """
[events.basket_seen]
version = 1
description = "What was in it"
[events.basket_seen.properties]
products = { type = "list", of = { sku = "string", quantity = "integer", price = "money" } }
"""


def test_a_products_other_fields_are_refused_where_the_project_says_so(tmp_path: Path) -> None:
    project = shop(tmp_path, LISTED)
    event = only(project, "track", message(event="Basket Seen", properties={"products": [PRODUCT]}))
    [refusal] = admit(bodies([event]), schema_of(project), "web", datetime.now(UTC)).refused
    assert refusal.path == "$.properties.products[0]"
    assert "no field 'product_id' is declared" in refusal.reason
