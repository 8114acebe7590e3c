"""A real collector as a process, a client that numbers what it sends, and kills."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1] / "events" / "collecting.toml"
KEYS = {"WEB_KEY": "a key for the browser", "SHOP_KEY": "a key for the server"}


def make_project(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT, folder / "liftwerk.toml")
    return folder


class Server:
    """`liftwerk serve` in a process group of its own."""

    def __init__(
        self, project: Path, *options: str, port: int = 0, errors: Any = subprocess.PIPE
    ) -> None:
        self.folder = project
        command = [sys.executable, "-m", "liftwerk.cli", "serve", "--port", str(port), *options]
        self.process = subprocess.Popen(
            [*command, "--project", str(project)],
            env={**os.environ, **KEYS},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.process.stderr and self.process.stderr.read()
        self.port = int(self.address.rstrip("/").rpartition(":")[2])

    def workers(self) -> list[int]:
        """The processes that collect, by their parent."""
        # Forked, they are called as their parent is; spawned, by multiprocessing.
        return self.children(b"liftwerk.cli\0serve") + self.children(b"spawn_main")

    def sequencers(self) -> list[int]:
        """The process that sorts, while there is one."""
        return self.children(b"events\0compact")

    def children(self, word: bytes) -> list[int]:
        """The processes that it started whose command has a word in it."""
        # A thread may have started them; the list of its children is its own.
        found: list[int] = []
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            found += map(int, path.read_text().split())
        return [pid for pid in found if word in _command(pid)]

    def kill(self) -> None:
        """Kill everything at once, as a machine that stops would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> int:
        """End it as an upgrade would: what is under way is answered."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self.process.returncode


@contextmanager
def serving(project: Path, *options: str) -> Iterator[Server]:
    server = Server(project, *options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def view(event_id: str, number: int, **parts: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "name": "page_viewed",
        "version": 1,
        "time": "2026-03-01T09:30:00Z",
        "identifiers": {"visitor": f"v{number % 50}"},
        "consent": {"granted": ["measurement"], "source": "api"},
        "properties": {"path": f"/{number}"},
        **parts,
    }


def post(
    port: int, body: bytes, path: str = "/v1/events", timeout: float = 20, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"authorization": f"Bearer {KEYS['SHOP_KEY']}", "content-type": "application/json"}
    try:
        connection.putrequest("POST", path)
        for name, value in {**sent, **given, "content-length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders()
        # Who sends too much may be answered, and cut off, before all of it has come.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(body)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text
    finally:
        connection.close()


@dataclass
class Load:
    """Clients that send numbered events until they are told to stop, and retry what failed.

    Each event is sent at least once; one in ten that was acknowledged is sent again, as clients do
    whose answer was lost.
    """

    port: int
    connections: int = 8
    batch: int = 20
    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    statuses: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._guard = threading.Lock()
        self._threads = [
            threading.Thread(target=self._send, args=(seed,)) for seed in range(self.connections)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _send(self, seed: int) -> None:
        rng = random.Random(seed)
        connection: http.client.HTTPConnection | None = None
        number = 0
        while not self._end.is_set():
            ids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(self.batch)]
            with self._guard:
                self.sent.update(ids)
            body = json.dumps([view(one, number) for one in ids]).encode()
            number += 1
            again = rng.random() < 0.1
            for _ in range(1 + again):
                connection = self._until_taken(connection, body, ids)
        if connection is not None:
            connection.close()

    def _until_taken(
        self, connection: http.client.HTTPConnection | None, body: bytes, ids: list[str]
    ) -> http.client.HTTPConnection | None:
        """Send the same body until it is acknowledged, or nobody wants more."""
        headers = {"x-write-key": KEYS["SHOP_KEY"], "content-type": "application/json"}
        while True:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                connection.request("POST", "/v1/events", body, headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
                if self._end.is_set():
                    return None
                time.sleep(0.02)
                continue
            with self._guard:
                self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
                if answer.status == 200:
                    self.acknowledged.update(ids)
            if answer.status == 200 or self._end.is_set():
                return connection
            time.sleep(0.05)
