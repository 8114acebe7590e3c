"""Delivery fields through a real server, Segment's call among them, and kills as they are kept."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy
import pytest

from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.compact import compact
from liftwerk.operations.forward.run import forward as send
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.connectors import vendors
from tests.connectors.vendors import SECRET, Vendor
from tests.connectors.vendors import serving as serving_vendor
from tests.system.byte_search import canaries_in, forms_of
from tests.system.collector import KEYS, Server, post, serving

pytestmark = pytest.mark.slow

TOML = """
[project]
name = "shop"
currency = "EUR"

[purposes.ads]
basis = "consent"

[sources.shop]
kind = "http"
trust = "server"
key_env = "SHOP_KEY"

[identifiers.customer]
normalise = "none"

[events.page_viewed]
version = 1
description = "A page"

[destinations.ads]
kind = "meta"
purpose = "ads"
secret_env = "FORWARD_SECRET"
dataset_id = "123"
action_source = "website"
start = "beginning"
url = "{url}"
events = ["page_viewed"]
identifiers = {{ external_id = "customer" }}
delivery = ["client_user_agent", "client_ip_address", "event_source_url"]
"""
COLLECT = ("--only", "collect", "--workers", "1", "--no-compact")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving_vendor(Vendor(vendors.meta(SystemClock().now))) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORWARD_SECRET", SECRET)
    (tmp_path / "liftwerk.toml").write_text(TOML.format(url=vendor.url))
    return tmp_path


def agent() -> str:
    return f"Mozilla/5.0 (cnry{uuid.uuid4().hex})"


def view(**more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "name": "page_viewed",
        "version": 1,
        "time": SystemClock().now().isoformat(),
        "identifiers": {"customer": "c1"},
        "consent": {"granted": ["ads"], "source": "api"},
        "delivery": {
            "client_user_agent": agent(),
            "client_ip_address": "203.0.113.77",
            "event_source_url": "https://shop.example/",
        },
        **more,
    }


def forward(folder: Path) -> None:
    """Do what ``events compact`` and ``forward run --once`` do, without processes of their own."""
    project, clock = load(folder, SECTIONS), SystemClock()
    with open_stores(Home.of(project)) as stores, stores.home.hold("test"):
        compact(project, stores, clock)
        send(project, stores, clock, numpy.random.default_rng(1))


def kept(folder: Path) -> tuple[int, int]:
    """Count the events in the inbox, and what is sealed."""
    with open_stores(Home.of(load(folder, SECTIONS))) as stores:
        sealed = stores.outbox.database.rows("select count(*) from sealed")  # type: ignore[attr-defined]
        return stores.inbox.count(), sealed[0][0]


def has_canaries(folder: Path) -> bool:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return any(canaries_in(form) for path in files for form in forms_of(path))


def test_what_a_server_takes_is_sent_and_nothing_of_it_stays(folder: Path, vendor: Vendor) -> None:
    event = view()
    call_of_segment = {
        "messageId": str(uuid.uuid4()),
        "type": "page",
        "userId": "c2",
        "timestamp": SystemClock().now().isoformat(),
        "context": {
            "ip": "2001:db8::7",
            "userAgent": agent(),
            "page": {"url": "https://shop.example/thanks", "path": "/thanks"},
            "consent": {"categoryPreferences": {"ads": True}},
        },
    }
    bearer = {"Authorization": f"Bearer {KEYS['SHOP_KEY']}"}
    with serving(folder, *COLLECT) as server:
        status, _, body = post(server.port, json.dumps(event).encode(), **bearer)
        assert (status, json.loads(body)["accepted"]) == (200, 1)
        batch = json.dumps({"batch": [call_of_segment]}).encode()
        status, _, body = post(server.port, batch, "/v1/batch", **bearer)
        assert (status, json.loads(body)["accepted"]) == (200, 1), body
        wrong = view(delivery={"client_ip_address": "x", "client_user_agent": agent()})
        status, _, body = post(server.port, json.dumps(wrong).encode(), **bearer)
        assert status == 422
        assert "client_ip_address is not an IP address" in body.decode()
        assert kept(folder) == (2, 2)
        assert not has_canaries(folder)
    forward(folder)
    told = [one for asked in vendor.took for one in asked.json["data"]]
    assert [one["action_source"] for one in told] == ["website", "website"]
    seen = [one["user_data"] for one in told]
    assert seen[0]["client_user_agent"] == event["delivery"]["client_user_agent"]
    assert seen[1]["client_user_agent"] == call_of_segment["context"]["userAgent"]
    assert seen[1]["client_ip_address"] == "2001:db8::7"
    assert told[1]["event_source_url"] == "https://shop.example/thanks"
    assert kept(folder) == (0, 0)
    assert not has_canaries(folder)


def test_a_kill_between_the_two_leaves_what_expires_at_most(
    folder: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer = {"Authorization": f"Bearer {KEYS['SHOP_KEY']}"}
    event = json.dumps(view()).encode()
    monkeypatch.setenv("LIFTWERK_FAULT", "delivery_commit:after")
    server = Server(folder, *COLLECT)
    with pytest.raises((http.client.HTTPException, OSError)):
        post(server.port, event, **bearer)
    server.kill()
    monkeypatch.delenv("LIFTWERK_FAULT")
    assert kept(folder) == (0, 1)
    with open_stores(Home.of(load(folder, SECTIONS))) as stores:
        later = SystemClock().now() + timedelta(days=3)
        stores.expire(later)
        assert list(stores.day_keys.folder.iterdir()) == []
    assert kept(folder) == (0, 0)
    # Whoever got no answer sends it again.
    with serving(folder, *COLLECT) as again:
        assert post(again.port, event, **bearer)[0] == 200
    assert kept(folder) == (1, 1)
    forward(folder)
    assert [len(asked.json["data"]) for asked in vendor.took] == [1]
    assert kept(folder) == (0, 0)
