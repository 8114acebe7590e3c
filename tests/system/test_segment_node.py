"""Segment's own client for Node, unchanged, against the real collector."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from liftwerk.events.identifiers import leaf_key
from tests.conftest import need_package
from tests.system.collector import KEYS, make_project, serving
from tests.system.segment import AT, CONTEXT, cutting, rows_of

SCRIPT = Path(__file__).with_name("segment_client.mjs")
SHARED = {"context": CONTEXT, "timestamp": AT.isoformat()}
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"


def send(host: str, calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Make calls with the client; returns what it could not send."""
    need_package("@segment/analytics-node")
    done = subprocess.run(
        ["node", str(SCRIPT), host, KEYS["SHOP_KEY"]],
        input=json.dumps([(call, {**SHARED, **message}) for call, message in calls]),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    errors: list[str] = json.loads(done.stdout)
    return errors


def test_every_call_arrives_field_by_field(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    both = {"userId": "u1", "anonymousId": "anon"}
    properties = {"orderId": 4711, "revenue": 29.99}
    with serving(project, "--only", "collect", "--no-compact") as server:
        errors = send(
            server.address.rstrip("/"),
            [
                ("track", {**both, "event": "Order Completed", "properties": properties}),
                ("track", {"userId": "u1", "event": "Song Played",
                           "properties": {"songTitle": "Å", "seconds": 12.5}}),
                ("page", {"anonymousId": "anon", "name": "Cart", "properties": {"path": "/cart"}}),
                ("identify", {**both, "traits": {"plan": "gold"}}),
                ("alias", {"userId": "u1", "previousId": "anon-2"}),
            ],
        )  # fmt: skip
        assert errors == []
    [order] = rows_of(project, "order_completed")
    assert order["order_id"] == "4711"
    assert (order["revenue"], order["revenue_currency"]) == (2999, "EUR")
    assert (order["time"], order["source"]) == (AT, "shop")
    assert order["leaf_customer"] == leaf_key("customer", "u1")
    assert order["leaf_visitor"] == leaf_key("visitor", "anon")
    assert order["consent_granted"] == ["measurement"]
    [song] = rows_of(project, "song_played")
    assert (song["song_title"], song["seconds"]) == ("Å", 12.5)
    assert (song["leaf_customer"], song["leaf_visitor"]) == (leaf_key("customer", "u1"), None)
    [page] = rows_of(project, "page_viewed")
    assert (page["path"], page["leaf_customer"]) == ("/cart", None)
    links = {row["evidence"]: row for row in rows_of(project, "identity_linked")}
    assert links["identify"]["leaf_visitor"] == leaf_key("visitor", "anon")
    assert links["alias"]["leaf_visitor"] == leaf_key("visitor", "anon-2")
    assert links["alias"]["leaf_customer"] == leaf_key("customer", "u1")


@pytest.mark.parametrize("instead", [b"", BUSY], ids=["cut off", "503"])
def test_its_retries_make_no_doubles(tmp_path: Path, instead: bytes) -> None:
    """The collector heard what the client believes was lost: it sends it again."""
    project = make_project(tmp_path / "shop")
    views = [
        ("page", {"anonymousId": "anon", "properties": {"path": f"/{number}"}})
        for number in range(12)
    ]
    with (
        serving(project, "--only", "collect", "--no-compact") as server,
        cutting(server.port, answers=3, instead=instead) as port,
    ):
        assert send(f"http://127.0.0.1:{port}", views) == []
    rows = rows_of(project, "page_viewed")
    assert sorted(row["path"] for row in rows) == sorted(f"/{number}" for number in range(12))
