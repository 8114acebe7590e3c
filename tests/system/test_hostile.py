"""Hostile input: every answer is a declared one, nothing invalid is stored, memory is bounded."""

from __future__ import annotations

import contextlib
import json
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.compact import compact
from liftwerk.events.sequence import VALUES_TABLE
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.system.collector import KEYS, Server, make_project, post, serving
from tests.system.hostile import BODIES, CONNECTIONS, EVENTS, UNFINISHED, some_view

RISE_KB = 150_000
"""How far the collector's memory may rise above that of its start, at its highest."""


class Hostility:
    """A server, and the ids of the good events that it acknowledged."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.good: set[str] = set()

    def still_collects(self) -> None:
        event = some_view()
        status, _, text = post(self.server.port, json.dumps(event).encode())
        assert status == 200, text
        self.good.add(str(event["id"]))

    def talk(self, sent: bytes, close_half: bool = False) -> bytes:
        """Send on a connection of its own, and read until the server closes it."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as connection:
            # Who sends too much may be answered, and cut off, before all of it has come.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(sent)
                if close_half:
                    connection.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while more := connection.recv(65536):
                    answer += more
        return answer


@pytest.fixture(scope="module")
def hostility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostility]:
    project = make_project(tmp_path_factory.mktemp("hostile") / "shop")
    with serving(project, "--only", "collect", "--no-compact") as server:
        yield Hostility(server)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_gets_a_declared_answer(hostility: Hostility, name: str) -> None:
    body, headers, statuses = BODIES[name]
    status, answered, text = post(hostility.server.port, body, **headers)
    assert status in statuses, text
    assert answered["content-type"] == "application/problem+json"
    assert len(text) < 5000
    hostility.still_collects()


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_refused_and_the_rest_is_taken(hostility: Hostility, name: str) -> None:
    good = some_view()
    batch = [EVENTS[name], good]
    status, _, text = post(hostility.server.port, json.dumps(batch).encode())
    answer = json.loads(text)
    assert (status, answer["accepted"]) == (422, 1), text[:1000]
    assert [one["index"] for one in answer["refused"]] == [0]
    assert len(text) < 5000
    hostility.good.add(str(good["id"]))


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_connection_gets_an_answer_or_is_closed(hostility: Hostility, name: str) -> None:
    sent, statuses = CONNECTIONS[name]
    answer = hostility.talk(sent)
    assert int(answer.split(maxsplit=2)[1]) in statuses, answer[:500]
    hostility.still_collects()


@pytest.mark.parametrize("name", UNFINISHED)
def test_half_a_request_is_told_so(hostility: Hostility, name: str) -> None:
    answer = hostility.talk(UNFINISHED[name], close_half=True)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:500]
    hostility.still_collects()


def test_half_open_connections_keep_nobody_out(hostility: Hostility) -> None:
    head = f"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nx-write-key: {KEYS['SHOP_KEY']}\r\n"
    with contextlib.ExitStack() as held:
        for number in range(300):
            address = ("127.0.0.1", hostility.server.port)
            connection = held.enter_context(socket.create_connection(address, timeout=20))
            if number % 3:
                connection.sendall(head.encode())
            if number % 3 == 2:
                connection.sendall(b"content-length: 1000\r\n\r\n{")
        hostility.still_collects()


def test_requests_in_a_row_are_answered_in_order(hostility: Hostility) -> None:
    events = [some_view() for _ in range(3)]
    sent = b""
    for event, ending in [*((event, "keep-alive") for event in events), ({}, "close")]:
        body = json.dumps(event).encode()
        sent += (
            f"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n"
            f"connection: {ending}\r\nx-write-key: {KEYS['SHOP_KEY']}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body
    lines = [line for line in hostility.talk(sent).split(b"\r\n") if line.startswith(b"HTTP/1.1")]
    statuses = [int(line.split()[1]) for line in lines]
    assert [status for status in statuses if status != 100] == [200, 200, 200, 422]
    hostility.good.update(str(event["id"]) for event in events)


def test_a_key_that_stands_twice_is_read_one_way(hostility: Hostility) -> None:
    first, last = str(uuid.uuid4()), str(uuid.uuid4())
    text = json.dumps(some_view(id=last)).replace("{", f'{{"id": "{first}", ', 1)
    assert post(hostility.server.port, text.encode())[0] == 200
    hostility.good.add(last)


def test_a_clock_50_years_off_is_set_right(hostility: Hostility) -> None:
    now = datetime.now(UTC)
    for off in (timedelta(days=-50 * 365), timedelta(days=50 * 365)):
        sent = now + off
        event = some_view(time=(sent - timedelta(hours=1)).isoformat(), sent_at=sent.isoformat())
        key = f"Bearer {KEYS['WEB_KEY']}"
        body = json.dumps(event).encode()
        assert post(hostility.server.port, body, authorization=key, user_agent="F")[0] == 200
        hostility.good.add(str(event["id"]))


@pytest.mark.parametrize(("time", "sent_at"), [("2026", "1970"), ("1970", "2199")])
def test_no_clock_moves_an_event_out_of_all_time(
    hostility: Hostility, time: str, sent_at: str
) -> None:
    event = some_view(time=f"{time}-06-01T00:00:00Z", sent_at=f"{sent_at}-06-01T00:00:00Z")
    key = f"Bearer {KEYS['WEB_KEY']}"
    body = json.dumps(event).encode()
    assert post(hostility.server.port, body, authorization=key, user_agent="F")[0] == 422


def test_at_the_end_memory_was_bounded_and_only_good_events_are_stored(
    tmp_path: Path,
) -> None:
    """All of it again, in one go and in one process, and then a look into every table."""
    began = datetime.now(UTC)
    project = make_project(tmp_path / "shop")
    with serving(project, "--only", "collect", "--no-compact") as server:
        hostility = Hostility(server)
        hostility.still_collects()
        before = memory(server, "VmRSS")
        for body, headers, _ in BODIES.values():
            post(server.port, body, **headers)
        post(server.port, b" " * 100_000_000)
        for name in EVENTS:
            test_an_event_is_refused_and_the_rest_is_taken(hostility, name)
        for sent, _ in CONNECTIONS.values():
            hostility.talk(sent)
        for sent in UNFINISHED.values():
            hostility.talk(sent, close_half=True)
        test_a_key_that_stands_twice_is_read_one_way(hostility)
        test_a_clock_50_years_off_is_set_right(hostility)
        hostility.still_collects()
        assert memory(server, "VmHWM") < before + RISE_KB
        assert server.stop() == 0
    definitions = load(project, SECTIONS)
    with open_stores(Home.open(definitions.home)) as stores, stores.home.hold("test"):
        compact(definitions, stores, SystemClock())
        assert stores.damage() == []
        snapshot = stores.ledger.latest_snapshot()
        assert snapshot is not None
        found: dict[str, datetime] = {}
        for table, version in snapshot.tables.items():
            if table == VALUES_TABLE:
                continue
            files = stores.tables.files(table, version)
            rows = duckdb.sql(f"SELECT id, time FROM read_parquet({list(map(str, files))})")
            found |= {str(uuid.UUID(bytes=key)): at for key, at in rows.fetchall()}
        assert set(found) == hostility.good
        newest = [at for at in found.values() if at > began - timedelta(hours=2)]
        assert len(newest) == 2  # those whose clock was 50 years off
        assert max(newest) < datetime.now(UTC)


def memory(server: Server, field: str) -> int:
    """Sum a field of the collecting processes' memory, in kB."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in server.workers()]
    assert texts
    lines = [line for text in texts for line in text.splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(field))
