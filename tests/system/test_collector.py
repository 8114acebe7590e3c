"""The collector as its users meet it: real processes, real connections, real kills."""

from __future__ import annotations

import gzip
import json
import os
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
from tests.system.numbered.kill import kill_and_check, what_is_wrong

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
    # The soak does the same with 200 kills: `python -m soak.collector`.
    told = kill_and_check(tmp_path / "run", seed=7, events=40_000, kills=KILLS, seconds=120)
    assert what_is_wrong(told) == []
    assert sum(told["killed"].values()) >= KILLS - 2
    assert {"server", "worker", "sequencer"} <= set(told["killed"])
    assert told["found"]["rows"] >= 40_000
    assert min(told["found"]["read"].values()) > 5_000
    assert told["told apart"] == 2


@pytest.mark.parametrize(
    "options", [("--only", "collect", "--workers", "2", "--no-compact"), ()], ids=["collect", "all"]
)
def test_an_upgrade_loses_no_request(options: tuple[str, ...], tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    server = Server(project, *options)
    with Load(server.port, connections=4) as load:
        while len(load.acknowledged) < 200:
            time.sleep(0.01)
        assert server.stop() == 0
        kept = set(load.acknowledged)
    assert set(load.statuses) == {200}
    assert kept <= set(ids_in_tables(project))


def test_two_servers_on_one_home_are_one_collector(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with serving(project, "--only", "collect") as one, serving(project) as other:
        # The same seeds: both are sent the same events, and each again now and then.
        with Load(one.port, connections=2) as first, Load(other.port, connections=2) as second:
            while min(len(first.acknowledged), len(second.acknowledged)) < 200:
                time.sleep(0.01)
        assert first.acknowledged & second.acknowledged
        assert [one.stop(), other.stop()] == [0, 0]
    found = ids_in_tables(project)
    assert len(found) == len(set(found))
    assert first.acknowledged | second.acknowledged <= set(found)


def test_a_process_that_dies_twice_in_a_row_ends_nobody(tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    with serving(project, "--only", "collect", "--workers", "2", "--no-compact") as server:
        first = server.workers()
        assert len(first) == 2
        for _ in range(2):
            before = set(server.workers())
            victim = max(before)  # the one that came last: killed soon after it was begun
            os.kill(victim, signal.SIGKILL)
            deadline = time.monotonic() + 60
            while len(set(server.workers()) - {victim}) < 2:
                assert server.process.poll() is None, "the collector has ended"
                assert time.monotonic() < deadline
                time.sleep(0.01)
        with Load(server.port, connections=1) as load:
            deadline = time.monotonic() + 60
            while len(load.acknowledged) < 20:
                assert time.monotonic() < deadline, load.statuses
                time.sleep(0.01)
    assert server.process.returncode == 0
    assert load.acknowledged <= set(ids_in_tables(project))


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
