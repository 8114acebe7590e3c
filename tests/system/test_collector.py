"""The collector as its users meet it: real processes, real connections, real kills."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.compact import compact
from liftwerk.events.read import read
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.system.collector import KEYS, Load, Server, make_project, post, serving, view

KILLS = 20


def ids_in_tables(project: Path) -> list[str]:
    """Sort what was collected into tables, and list the ids of one event's table."""
    definitions = load(project, SECTIONS)
    with open_stores(Home.open(definitions.home)) as stores, stores.home.hold("test"):
        compact(definitions, stores, SystemClock())
        table = read(definitions, stores, "page_viewed", "measurement", ["id"])
        assert stores.damage() == []
    return [str(uuid.UUID(bytes=one)) for one in table.column("id").to_pylist()]


def test_acknowledged_is_kept_once_through_kills(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    rng = random.Random(7)
    server = Server(project, "--only", "collect", "--workers", "2")
    with Load(server.port) as load:
        for kill in range(KILLS):
            before = len(load.acknowledged)
            deadline = time.monotonic() + 60
            while len(load.acknowledged) < before + 100:
                assert time.monotonic() < deadline, (load.statuses, kill)
                time.sleep(0.01)
            if kill % 5 == 4:
                server.kill()  # the whole machine: both workers, their parent, the sequencer
                port = server.port
                server = Server(project, "--only", "collect", "--workers", "2", port=port)
                continue
            workers = server.workers()
            if workers:
                os.kill(rng.choice(workers), signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(load.acknowledged) < 0.95 * len(load.sent):
            assert time.monotonic() < deadline, load.statuses
            time.sleep(0.05)
    assert server.stop() == 0
    found = ids_in_tables(project)
    assert len(found) == len(set(found))
    assert load.acknowledged <= set(found) <= load.sent
    assert len(load.acknowledged) >= 0.95 * len(load.sent)


def test_an_upgrade_loses_no_request(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    server = Server(project, "--only", "collect", "--workers", "2", "--no-compact")
    with Load(server.port, connections=4) as load:
        while len(load.acknowledged) < 200:
            time.sleep(0.01)
        assert server.stop() == 0
        kept = set(load.acknowledged)
    assert kept <= set(ids_in_tables(project))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = make_project(tmp_path_factory.mktemp("collector") / "shop")
    with serving(project, "--only", "collect", "--no-compact") as running:
        yield running


def some_view(**parts: object) -> dict[str, object]:
    return view(str(uuid.uuid4()), 0, **parts)


def test_forms_of_a_body(server: Server) -> None:
    one, two = some_view(), some_view()
    bodies = {
        "application/json": json.dumps(one),
        "text/plain;charset=UTF-8": json.dumps([one, two]),
        "application/x-ndjson": f"{json.dumps(one)}\n{json.dumps(two)}\n",
    }
    for kind, body in bodies.items():
        status, _, text = post(server.port, body.encode(), content_type=kind)
        assert (status, json.loads(text)["accepted"]) in ((200, 1), (200, 2)), kind
    packed = gzip.compress(json.dumps([one]).encode())
    status, _, text = post(server.port, packed, content_encoding="gzip")
    assert (status, json.loads(text)["accepted"]) == (200, 1)


def test_where_a_key_may_stand(server: Server) -> None:
    body = json.dumps(some_view()).encode()
    key = KEYS["SHOP_KEY"]
    assert post(server.port, body, authorization="", x_write_key=key)[0] == 200
    path = "/v1/events?key=a%20key%20for%20the%20server"
    assert post(server.port, body, path, authorization="")[0] == 200
    for wrong in ("", "Bearer wrong", "Basic !!!", "Basic d3Jvbmc6"):
        status, headers, text = post(server.port, body, authorization=wrong)
        assert status == 401
        assert headers["content-type"] == "application/problem+json"
        assert key not in text.decode()


def test_pages_of_other_origins_may_not_send(server: Server) -> None:
    body = json.dumps(some_view()).encode()
    key = f"Bearer {KEYS['WEB_KEY']}"
    good, bad = "https://shop.example", "https://evil.example"
    status, headers, _ = post(server.port, body, authorization=key, origin=good, user_agent="F")
    assert (status, headers["access-control-allow-origin"]) == (200, good)
    assert post(server.port, body, authorization=key, origin=bad, user_agent="F")[0] == 403


HOSTILE = {
    "deep": (b'{"id":' * 5000 + b"1" + b"}" * 5000, {}, (400,)),
    "deep array": (b"[" * 100_000, {}, (400,)),
    "empty": (b"", {}, (400,)),
    "no event": (b"[]", {}, (400,)),
    "not JSON": (b"\x00\xff", {}, (400,)),
    "lone surrogate": (b'{"name":"\\ud800"}', {}, (400, 422)),
    "NaN": (b'{"id":NaN}', {}, (400, 422)),
    "commas": (b"[" + b"0," * 1_500_000 + b"0]", {}, (413,)),
    "many": (b"[" + b"0," * 10_000 + b"0]", {}, (413,)),
    "large": (b" " * 6_000_000, {}, (413,)),
    "bomb": (gzip.compress(b" " * 100_000_000), {"content_encoding": "gzip"}, (413,)),
    "half a gzip": (gzip.compress(b"[1,2]")[:-9], {"content_encoding": "gzip"}, (400,)),
    "brotli": (b"x", {"content_encoding": "br"}, (415,)),
    "latin": (b"{}", {"content_type": "application/json; charset=latin-1"}, (415,)),
    "xml": (b"<a/>", {"content_type": "text/xml"}, (415,)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_get_a_declared_answer(server: Server, name: str) -> None:
    body, headers, statuses = HOSTILE[name]
    status, answered, text = post(server.port, body, **headers)
    assert status in statuses
    assert answered["content-type"] == "application/problem+json"
    assert len(text) < 5000
    assert post(server.port, json.dumps(some_view()).encode())[0] == 200


@pytest.mark.parametrize(
    "parts",
    [
        {"id": "../../etc/passwd"},
        {"id": "'; DROP TABLE inbox; --"},
        {"time": "2076-03-01T09:30:00Z"},
        {"time": "yesterday"},
        {"weight": -1},
        {"properties": {"path": "/", "more": 1}},
        {"source": 3},
        {"name": "decision_made"},
    ],
)
def test_wrong_events_are_refused_and_the_rest_is_taken(
    server: Server, parts: dict[str, object]
) -> None:
    good = some_view()
    status, _, text = post(server.port, json.dumps([some_view(**parts), good]).encode())
    answer = json.loads(text)
    assert (status, answer["accepted"]) == (422, 1)
    assert [one["index"] for one in answer["refused"]] == [0]


def test_memory_stays_bounded_under_hostile_bodies(server: Server) -> None:
    def resident() -> int:
        lines = [Path(f"/proc/{pid}/status").read_text() for pid in server.workers()]
        return sum(
            int(line.split()[1]) for text in lines for line in text.splitlines()
            if line.startswith("VmRSS")
        )  # fmt: skip

    before = resident()
    for body, headers, _ in HOSTILE.values():
        post(server.port, body, **headers)
    assert resident() < before + 150_000  # kB


def test_dry_stores_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with serving(project, "--only", "collect", "--dry") as server:
        status, _, text = post(server.port, json.dumps([some_view(), {}]).encode())
        answer = json.loads(text)
        assert (status, answer["accepted"], answer["dry"]) == (422, 1, True)
    assert ids_in_tables(project) == []


def test_serve_collects_beside_the_pages_and_sorts_into_tables(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with serving(project) as server:
        event = some_view()
        assert post(server.port, json.dumps(event).encode())[0] == 200
        deadline = time.monotonic() + 60
        while True:
            command = ["status", "--json", "--project", str(project)]
            done = subprocess.run(
                [sys.executable, "-m", "liftwerk.cli", *command],
                capture_output=True,
                text=True,
                check=True,
            )
            if json.loads(done.stdout)["events"].get("page_viewed") == 1:
                break
            assert time.monotonic() < deadline
    assert ids_in_tables(project) == [event["id"]]
