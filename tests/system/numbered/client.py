"""The load client, a process of its own: sends numbered events until all are acknowledged.

    python -m tests.system.numbered.client PORT SEED CHUNKS PERSONS FILE

It prints a line of JSON about four times a second, and writes which rows were acknowledged to FILE
when all were. A line on its standard input ends it early: what was begun is still finished. Who
got no answer sends the same again, later and over whichever connection is free; of what was
answered, some is sent again all the same.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.system.collector import KEYS
from tests.system.numbered.events import (
    CHUNK,
    LIVE,
    Request,
    change_of_consent,
    requests,
    steps,
)

CONNECTIONS = 24
AGAIN = 0.05
"""Part of what was acknowledged that is sent once more."""

AGAIN_SECONDS = 10.0
"""Mean time until it is."""

ANSWER_SECONDS = 30.0
PATIENCE_SECONDS = 0.5


def visitors_of(chunks: int) -> int:
    """Say how many visitors there are: about 40 events each."""
    return max(900, chunks * CHUNK // 40 // 30 * 30)


@dataclass(order=True)
class Task:
    """Something to send, when it is due."""

    due: float
    chunk: int
    part: int
    again: bool = False
    request: Request | None = field(default=None, compare=False)


class Client:
    """What was sent, what was acknowledged, what is still to do."""

    def __init__(self, port: int, seed: int, chunks: int, persons: int) -> None:
        self.port = port
        self.seed = seed
        self.chunks = chunks
        self.visitors = visitors_of(chunks)
        self.persons = persons
        self.rng = random.Random(seed)
        size = chunks * CHUNK + -(-persons // CHUNK) * CHUNK
        self.sent = np.zeros(size, bool)
        self.acknowledged = np.zeros(size, bool)
        self.begun = 0
        self.ended = False
        self.undecided = 0  # parts that were sent, or drawn, and have no answer yet
        self.live_at = 0
        self.statuses: Counter[str] = Counter()
        self.surprises: list[str] = []
        self.waiting: list[Task] = []
        self.fresh = self._fresh()

    def _fresh(self) -> Iterator[Task]:
        for chunk in range(self.chunks):
            if self.ended:
                break
            self.begun = chunk + 1
            yield from self._tasks(chunk)

    def _tasks(self, chunk: int) -> Iterator[Task]:
        made = self._requests(chunk)
        self.undecided += len(made)
        for part, request in enumerate(made):
            yield Task(0.0, chunk, part, request=request)

    def _requests(self, chunk: int, again: bool = False) -> list[Request]:
        sent_at = None
        if again:
            sent_at = int(time.time())
        return requests(self.seed, chunk, self.visitors, self.live_at, sent_at)

    def next(self) -> Task | None:
        """Return what to send now, if anything is due."""
        if self.waiting and self.waiting[0].due <= time.monotonic():
            return heapq.heappop(self.waiting)
        task = next(self.fresh, None)
        if task is None and self.waiting and self.all_answered():
            return heapq.heappop(self.waiting)  # only what is sent again: nothing to wait for
        return task

    def all_answered(self) -> bool:
        """Say whether everything that was begun is acknowledged."""
        return self.undecided == 0

    async def send(self) -> None:
        """Send over one connection until there is nothing more to send."""
        line = Line(self.port)
        while True:
            task = self.next()
            if task is None:
                if self.all_answered() and not self.waiting:
                    break
                await asyncio.sleep(0.02)
                continue
            request = task.request
            if request is None:
                request = self._requests(task.chunk, task.again)[task.part]
            rows = request.rows + self._first_row(task.chunk)
            self.sent[rows] = True
            status, text = await line.post(request)
            if request.path == "/v1/batch" and status == "200" and b'"refused":[]' not in text:
                status = "refused"
            self.statuses[status] += 1
            if status == "200":
                self._taken(task, rows)
                continue
            self._note(status, text)
            delay = self.rng.uniform(0.05, 2 * PATIENCE_SECONDS)
            again = Task(time.monotonic() + delay, task.chunk, task.part, task.again)
            heapq.heappush(self.waiting, again)
            if status != "none":
                await asyncio.sleep(0.05)
        line.close()

    def _taken(self, task: Task, rows: np.ndarray) -> None:
        if task.again:
            return
        self.acknowledged[rows] = True
        self.undecided -= 1
        if self.rng.random() < AGAIN:
            due = time.monotonic() + self.rng.expovariate(1 / AGAIN_SECONDS)
            heapq.heappush(self.waiting, Task(due, task.chunk, task.part, True))

    def _first_row(self, chunk: int) -> int:
        if chunk >= LIVE:
            return (self.chunks + chunk - LIVE) * CHUNK
        return chunk * CHUNK

    def _note(self, status: str, text: bytes) -> None:
        """Keep what a healthy client of a healthy collector never sees."""
        if status not in ("none", "429", "503") and len(self.surprises) < 5:
            self.surprises.append(f"{status}: {text[:300].decode(errors='replace')}")

    async def change_minds(self, first: int, step: int) -> None:
        """Change consents over HTTP: each person's changes one after the other."""
        line = Line(self.port)
        for person in range(first, self.persons, step):
            while not self.ended and self.begun * self.persons < person * self.chunks:
                await asyncio.sleep(0.05)
            for change in steps(self.seed, person):
                body = change_of_consent(self.visitors + person, change)
                while True:
                    none = np.array([], np.int64)
                    asked = Request(none, True, "/v1/consent", body)
                    status, text = await line.post(asked)
                    if status == "200":
                        break
                    self._note(status, text)
                    await asyncio.sleep(self.rng.uniform(0, PATIENCE_SECONDS))
        line.close()

    async def run(self) -> None:
        """Send everything; then, of those who changed their minds, what they do afterwards."""
        telling = asyncio.create_task(self._tell())
        sending = [self.send() for _ in range(CONNECTIONS)]
        await asyncio.gather(*sending, *(self.change_minds(n, 4) for n in range(4)))
        # One instant, so that what is sent again says the same; behind every change of consent.
        self.live_at = int(time.time()) + 1
        live = range(LIVE, LIVE + -(-self.persons // CHUNK))
        self.fresh = (task for chunk in live for task in self._tasks(chunk))
        await asyncio.gather(*(self.send() for _ in range(4)))
        telling.cancel()

    async def _tell(self) -> None:
        while True:
            self.tell()
            await asyncio.sleep(0.25)

    def tell(self, done: bool = False) -> None:
        """Print how far it is."""
        said = {
            "sent": int(self.sent.sum()),
            "acknowledged": int(self.acknowledged.sum()),
            "begun": self.begun,
            "statuses": dict(sorted(self.statuses.items())),
            "surprises": self.surprises,
            "done": done,
        }
        print(json.dumps(said), flush=True)


class Line:
    """One connection, kept open; opened again when it breaks."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, request: Request) -> tuple[str, bytes]:
        """Send a request; returns the status, ``none`` without an answer, and what was said."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._post(request)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            self.close()
            await asyncio.sleep(0.2)
            return "none", b""

    async def _post(self, request: Request) -> tuple[str, bytes]:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        key = KEYS["WEB_KEY"]
        if request.is_shop:
            key = KEYS["SHOP_KEY"]
        encoding = ""
        if request.encoding:
            encoding = f"content-encoding: {request.encoding}\r\n"
        head = (
            f"POST {request.path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-write-key: {key}\r\n"
            f"user-agent: Mozilla/5.0\r\ncontent-type: {request.content_type}\r\n{encoding}"
            f"content-length: {len(request.body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + request.body)
        await self._writer.drain()
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for field_ in answer.lower().split(b"\r\n"):
            name, _, value = field_.partition(b":")
            if name == b"content-length":
                length = int(value)
        text = await self._reader.readexactly(length)
        return answer[9:12].decode(), text

    def close(self) -> None:
        """Close it."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def main() -> None:
    port, seed, chunks, persons = map(int, sys.argv[1:5])
    client = Client(port, seed, chunks, persons)

    def listen() -> None:
        os.read(sys.stdin.fileno(), 100)
        client.ended = True

    threading.Thread(target=listen, daemon=True).start()
    with suppress(KeyboardInterrupt):
        asyncio.run(client.run())
        np.savez(Path(sys.argv[5]), sent=client.sent, acknowledged=client.acknowledged)
        client.tell(done=True)


if __name__ == "__main__":
    main()
