"""Segment's own Python client, unchanged, against the real collector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client

from liftwerk.events.identifiers import leaf_key
from tests.system.collector import KEYS, make_project, serving
from tests.system.segment import AT, CONTEXT, cutting, rows_of


@pytest.mark.parametrize("packed", [False, True])
def test_every_call_arrives_field_by_field(tmp_path: Path, packed: bool) -> None:
    project = make_project(tmp_path / "shop")
    with serving(project, "--only", "collect", "--no-compact") as server:
        client = Client(
            KEYS["SHOP_KEY"], host=server.address.rstrip("/"), gzip=packed, max_retries=2
        )
        told: list[Any] = []
        client.on_error = lambda error, items: told.append(error)
        properties = {"orderId": 4711, "revenue": 29.99}
        client.track("u1", "Order Completed", properties, CONTEXT, AT, "anon")
        client.track("u1", "Song Played", {"songTitle": "Å"}, CONTEXT, AT)
        client.page(None, None, "Cart", {"path": "/cart"}, CONTEXT, AT, "anon")
        client.identify("u1", {"plan": "gold"}, CONTEXT, AT, "anon")
        client.alias("anon-2", "u1", CONTEXT, AT)
        client.shutdown()
        assert told == []
    [order] = rows_of(project, "order_completed")
    assert order["order_id"] == "4711"
    assert (order["revenue"], order["revenue_currency"]) == (2999, "EUR")
    assert order["time"] == AT
    assert order["leaf_customer"] == leaf_key("customer", "u1")
    assert order["leaf_visitor"] == leaf_key("visitor", "anon")
    assert order["consent_granted"] == ["measurement"]
    assert order["source"] == "shop"
    [song] = rows_of(project, "song_played")
    assert (song["song_title"], song["leaf_visitor"]) == ("Å", None)
    [page] = rows_of(project, "page_viewed")
    assert (page["path"], page["leaf_customer"]) == ("/cart", None)
    links = {row["evidence"]: row for row in rows_of(project, "identity_linked")}
    assert links["identify"]["leaf_visitor"] == leaf_key("visitor", "anon")
    assert links["alias"]["leaf_visitor"] == leaf_key("visitor", "anon-2")
    assert links["alias"]["leaf_customer"] == leaf_key("customer", "u1")


def test_its_retries_make_no_doubles(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with (
        serving(project, "--only", "collect", "--no-compact") as server,
        cutting(server.port, answers=3) as port,
    ):
        client = Client(KEYS["SHOP_KEY"], host=f"http://127.0.0.1:{port}", max_retries=8)
        for number in range(5):
            client.page(None, None, None, {"path": f"/{number}"}, CONTEXT, AT, "anon")
        client.shutdown()
    rows = rows_of(project, "page_viewed")
    assert sorted(row["path"] for row in rows) == [f"/{number}" for number in range(5)]
