"""Segment's own Python client, unchanged, against the real collector."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client

from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.system.collector import KEYS, make_project, serving

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
CONTEXT = {"consent": {"categoryPreferences": {"measurement": True}}, "page": {"path": "/cart"}}


def rows_of(project: Path, name: str) -> list[dict[str, Any]]:
    definitions = load(project, SECTIONS)
    with open_stores(Home.open(definitions.home)) as stores, stores.home.hold("test"):
        compact(definitions, stores, SystemClock())
        assert stores.inbox.quarantine_list() == []
        return read(definitions, stores, name, "measurement").to_pylist()


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


@contextmanager
def cutting(port: int, answers: int) -> Iterator[int]:
    """Pass connections on to a port, and cut the first few answers off: the request was heard."""
    listener = socket.create_server(("127.0.0.1", 0))
    cut = iter(range(answers))

    def pass_on() -> None:
        while True:
            try:
                asked, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(asked,), daemon=True).start()

    def converse(asked: socket.socket) -> None:
        with asked, socket.create_connection(("127.0.0.1", port)) as inner:
            back = threading.Thread(target=copy, args=(asked, inner), daemon=True)
            back.start()
            answer = inner.recv(65536)
            if answer and next(cut, None) is None:
                asked.sendall(answer)
                copy(inner, asked)

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            return

    threading.Thread(target=pass_on, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
