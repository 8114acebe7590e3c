"""What a vendor's client meets: a collector behind a bad line, and the rows that it left."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from liftwerk.clock import SystemClock
from liftwerk.definitions import load
from liftwerk.events.compact import compact
from liftwerk.events.read import read
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
CONTEXT = {"consent": {"categoryPreferences": {"measurement": True}}, "page": {"path": "/cart"}}


def rows_of(project: Path, name: str) -> list[dict[str, Any]]:
    definitions = load(project, SECTIONS)
    with open_stores(Home.open(definitions.home)) as stores, stores.home.hold("test"):
        compact(definitions, stores, SystemClock())
        assert stores.inbox.quarantine_list() == []
        return read(definitions, stores, name, "measurement").to_pylist()


@contextmanager
def cutting(port: int, answers: int, instead: bytes = b"") -> Iterator[int]:
    """Pass connections on to a port, and cut the first few answers off: the request was heard.

    With ``instead`` the client is told that in place of the answer.
    """
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
            if answer and next(cut, None) is not None:
                asked.sendall(instead)
                asked.shutdown(socket.SHUT_RDWR)  # closing alone waits for whoever still reads
                return
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
