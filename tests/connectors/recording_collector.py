"""A collector on a socket that keeps what comes, and can be told to refuse, or to hang up.

It stands for the network and whoever answers there; what the tracker sends is read as it came.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from liftwerk.connectors.tracker import tracker_script

WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class Arrival:
    """One request with events; ``taken`` is whether it was answered with success."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes
    taken: bool

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of its body."""
        events: list[dict[str, Any]] = json.loads(self.body)
        return events


@dataclass
class Answer:
    """What a request is told; status 0 hangs up instead."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=lambda: {"accepted": 0, "refused": []})


class Recorder:
    """What came so far, and what the next requests are told."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.arrivals: list[Arrival] = []
        self.next: deque[Answer] = deque()
        self.pages: dict[str, str] = {}
        self._changed = threading.Condition()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def tell(self, *answers: Answer) -> None:
        """Say what the next requests are answered; after them it is success again."""
        self.next.extend(answers)

    def keep(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Keep a request and give its answer."""
        with self._changed:
            answer = self.next.popleft() if self.next else Answer()
            taken = answer.status == 200
            self.arrivals.append(Arrival(time.monotonic(), path, headers, body, taken))
            self._changed.notify_all()
        return answer

    def events(self) -> list[dict[str, Any]]:
        """List the events that were taken, in the order in which they came."""
        return [event for one in self.arrivals if one.taken for event in one.events]

    def ids(self) -> list[str]:
        """List the ids of the events that were taken."""
        return [event["id"] for event in self.events()]

    def until(self, is_there: Callable[[Recorder], bool]) -> None:
        """Wait for something to have come."""
        with self._changed:
            came = self._changed.wait_for(lambda: is_there(self), WAIT_SECONDS)
        assert came, [(one.path, one.taken, one.body) for one in self.arrivals]

    def until_events(self, count: int) -> list[dict[str, Any]]:
        """Wait for that many events, and return them."""
        self.until(lambda recorder: len(recorder.events()) >= count)
        return self.events()


@contextmanager
def recording() -> Iterator[Recorder]:
    """Run a collector that also serves ``/t.js``, and the pages it is given."""
    server = Server(("127.0.0.1", 0), Handler)
    server.recorder = Recorder(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Server(ThreadingHTTPServer):
    """One thread a connection; browsers keep connections open, so none is waited for."""

    daemon_threads = True
    block_on_close = False
    recorder: Recorder

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that leaves tears its connections."""


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1 for `Recorder`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Serve the script, or a page."""
        path = self.path.partition("?")[0]
        if path == "/t.js":
            self.reply(200, "text/javascript", tracker_script(), {})
            return
        page = self.server.recorder.pages.get(path)
        if page is None:
            page = "<!doctype html><title>Nothing</title><link rel=icon href=data:,>"
        self.reply(200, "text/html; charset=utf-8", page.encode(), {})

    def do_POST(self) -> None:
        """Keep events."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.recorder.keep(self.path, headers, body)
        if not answer.status:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        allow = {
            "access-control-allow-origin": headers.get("origin", "*"),
            "access-control-expose-headers": "retry-after",
        }
        document = json.dumps(answer.document).encode()
        self.reply(answer.status, "application/json", document, allow | answer.headers)

    def reply(self, status: int, kind: str, body: bytes, headers: dict[str, str]) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {**headers, "content-type": kind}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *given: Any) -> None:
        """Say nothing."""
