"""The server as a process: ports, tokens, stopping."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import urllib.error
import urllib.request

import pytest

from liftwerk.errors import EnvironmentFault, ProjectError
from liftwerk.server.serve import serve, take_port
from tests.server.conftest import running
from tests.server.trial import TrialSource

pytestmark = pytest.mark.slow


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:
        body: bytes = answer.read()
    return body


def test_a_free_port_is_taken_and_told() -> None:
    with running() as (address, process):
        assert address.startswith("http://127.0.0.1:")
        assert b"live" in get(address + "health/live")
        assert b"liftwerk" in get(address)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_interrupt_stops_it_too_even_with_an_open_connection() -> None:
    with running() as (address, process):
        port = int(address.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as idle:
            idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(1000).startswith(b"HTTP/1.1 200")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0


def test_a_taken_port_is_an_error_and_not_shared() -> None:
    with running() as (address, _):
        port = int(address.rstrip("/").rpartition(":")[2])
        with pytest.raises(EnvironmentFault, match=f"127.0.0.1:{port}"):
            serve(lambda: TrialSource(None), port=port)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(EnvironmentFault, match=r"192\.0\.2\.1"):
        take_port("192.0.2.1", 0)


@pytest.mark.parametrize("token", [None, "", "short"])
def test_beyond_loopback_a_good_token_is_demanded(
    token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIFTWERK_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("LIFTWERK_TOKEN", token)
    with pytest.raises(ProjectError, match="LIFTWERK_TOKEN"):
        serve(lambda: TrialSource(None), host="0.0.0.0", port=0)


def test_beyond_loopback_the_token_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTWERK_TOKEN", "correct-horse-battery-staple")
    with running(host="0.0.0.0") as (address, _):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(address + "v1/report")
        assert refused.value.code == 401
        refused.value.close()
        asked = urllib.request.Request(
            address + "v1/report",
            headers={"authorization": "Bearer correct-horse-battery-staple"},
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200


def test_a_proxy_may_call_it_by_the_names_that_are_told() -> None:
    with running(names=("shop.example",)) as (address, _):
        for name, status in (("SHOP.example:443", 200), ("localhost", 200), ("evil.example", 421)):
            connection = http.client.HTTPConnection(address.split("/")[2], timeout=10)
            connection.request("GET", "/v1/report", headers={"host": name})
            assert connection.getresponse().status == status
            connection.close()


def test_a_source_that_cannot_open_is_told_before_anything_listens() -> None:
    def closed() -> TrialSource:
        raise EnvironmentFault("no home", "/nowhere", "run `liftwerk run` first")

    with pytest.raises(EnvironmentFault, match="no home"):
        serve(closed, port=0, announce=lambda _: pytest.fail("it must not listen"))


def test_a_slow_question_holds_nobody_else_up() -> None:
    with running(source="WaitingSource") as (address, process):
        answers: list[bytes] = []
        slow = threading.Thread(target=lambda: answers.append(get(address + "v1/report")))
        slow.start()
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "asked\n"
        assert b"live" in get(address + "health/live")
        assert answers == []
        process.stdin.write("go on\n")
        process.stdin.flush()
        slow.join(timeout=20)
        assert b"headline" in answers[0]


def test_a_request_under_way_is_answered_before_the_end() -> None:
    with running(source="WaitingSource") as (address, process):
        answers: list[bytes] = []
        slow = threading.Thread(target=lambda: answers.append(get(address + "v1/report")))
        slow.start()
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert process.wait(timeout=20) == 0
        slow.join(timeout=20)
        assert b"headline" in answers[0]
