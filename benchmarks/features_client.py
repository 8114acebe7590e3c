"""The clients of the benchmark `features`.

What is due is sent when it is due, however late answers come, and an answer's time counts from
when its request was due.

    python -m benchmarks.features_client get PORT RATE SECONDS CUSTOMERS PATH
    python -m benchmarks.features_client stream PORT RATE SECONDS CUSTOMERS

``get`` asks for customers' features, or PATH again and again. ``stream`` sends events in batches
of 100; beside them, ten times a second, an order of a customer whom nobody knows, and asks for its
value until it is there. Both print one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import uvloop

from benchmarks.features_traffic import BROWSER, KEYS, SHOP, VIEW, Shop, number_of

CONNECTIONS = 32
BATCH = 100
A_TILL = 20
"""Every so many batches are orders: a twentieth."""

MARKERS = 10
LOOK = 0.02
"""Seconds between two looks for a value."""

PATIENCE = 60
"""Seconds until a value that does not come is given up."""


class Wire:
    """A connection with one request out at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, head: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request and return its answer's status and body."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self._writer.write(f"{head}Host: 127.0.0.1\r\n{length}\r\n".encode() + body)
        said = await self._reader.readuntil(b"\r\n\r\n")
        size = int(said.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(said[9:12]), await self._reader.readexactly(size)


class Wires:
    """Connections that wait for their next request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: asyncio.Queue[Wire] = asyncio.Queue()
        self.answers: Counter[int] = Counter()

    async def open(self, count: int) -> None:
        """Open so many."""
        for _ in range(count):
            self._free.put_nowait(Wire(*await asyncio.open_connection("127.0.0.1", self._port)))

    async def ask(self, head: str, body: bytes = b"") -> bytes | None:
        """Ask on one that is free; None if the answer is no."""
        wire = await self._free.get()
        try:
            status, said = await wire.ask(head, body)
        finally:
            self._free.put_nowait(wire)
        self.answers[status] += 1
        return said if status == 200 else None


async def on_time(rate: float, seconds: float, send: Callable[[float], Awaitable[None]]) -> None:
    """Begin what is due when it is due, and wait for all of it."""
    began = time.perf_counter()
    under_way: set[asyncio.Task[None]] = set()
    for place in range(round(rate * seconds)):
        due = began + place / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(_awaited(send(due)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way, timeout=PATIENCE)


async def _awaited(work: Awaitable[None]) -> None:
    await work


def features_of(customer: str) -> str:
    """Write a request for a customer's features."""
    return f"GET /v1/features/customer/customer_id:{customer}?view={VIEW} HTTP/1.1\r\n"


async def get(port: int, rate: float, seconds: float, customers: int, path: str) -> dict[str, Any]:
    """Ask for customers' features, or for a path."""
    wires, rng = Wires(port), random.Random(1)
    await wires.open(CONNECTIONS)
    took: list[float] = []

    async def ask(due: float) -> None:
        head = f"GET {path} HTTP/1.1\r\n"
        if not path:
            head = features_of(f"c-{number_of(rng.random(), customers):07d}")
        if await wires.ask(head) is not None:
            took.append(time.perf_counter() - due)

    await on_time(rate, 2, ask)  # warm
    took.clear()
    wires.answers.clear()
    await on_time(rate, seconds, ask)
    return {"asked": round(rate * seconds), "answers": dict(wires.answers), **_milliseconds(took)}


async def stream(port: int, rate: float, seconds: float, customers: int) -> dict[str, Any]:
    """Send events, and look from outside when what was acknowledged is served."""
    wires, shop = Wires(port), Shop(time.time_ns(), customers)
    await wires.open(CONNECTIONS)
    took: list[float] = []
    fresh: list[float] = []
    marks: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
    batches = 0
    run = f"{time.time_ns():x}"

    async def post(source: str, events: list[bytes]) -> bool:
        head = f"POST /v1/events HTTP/1.1\r\nAuthorization: Bearer {KEYS[source][1]}\r\n"
        head += "Content-Type: application/json\r\n"
        return await wires.ask(head, b"[" + b",".join(events) + b"]") is not None

    async def send(due: float) -> None:
        nonlocal batches
        batches += 1
        source = SHOP if batches % A_TILL == 0 else BROWSER
        now = datetime.now(UTC)
        if await post(source, shop.take(source, BATCH, now - timedelta(seconds=5), now)):
            took.append(time.perf_counter() - due)

    async def mark(due: float) -> None:
        now = datetime.now(UTC)
        name = f"m-{run}-{due:.6f}"
        (order,) = shop.take(SHOP, 1, now - timedelta(seconds=1), now, name)
        if await post(SHOP, [order]):
            marks.put_nowait((name, time.perf_counter()))

    looking = asyncio.create_task(_look(port, marks, fresh))
    used, began = time.process_time(), time.perf_counter()
    await asyncio.gather(on_time(rate / BATCH, seconds, send), on_time(MARKERS, seconds, mark))
    sent = time.perf_counter() - began
    marks.put_nowait(None)
    lost = await looking
    return {
        "events": len(took) * BATCH + len(fresh) + lost,
        "seconds": round(sent, 2),
        "drained_after_seconds": round(time.perf_counter() - began - sent, 2),
        "client_cpu_share": round((time.process_time() - used) / sent, 2),
        "answers": dict(wires.answers),
        "acknowledged": _milliseconds(took),
        "fresh": _milliseconds(fresh),
        "not_served": lost,
    }


async def _look(
    port: int, marks: asyncio.Queue[tuple[str, float] | None], fresh: list[float]
) -> int:
    """Ask for one mark after the other until it is served; returns how many never were."""
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
    lost = 0
    while (mark := await marks.get()) is not None:
        name, since = mark
        while True:
            status, said = await wire.ask(features_of(name))
            if status == 200 and json.loads(said)["values"]["orders"] == 1.0:
                fresh.append(time.perf_counter() - since)
                break
            if time.perf_counter() - since > PATIENCE:
                lost += 1
                break
            await asyncio.sleep(LOOK)
    return lost


def _milliseconds(took: list[float]) -> dict[str, float]:
    if not took:
        return {}
    p50, p99, most = np.percentile(took, [50, 99, 100]) * 1e3
    named = {"p50_ms": p50, "p99_ms": p99, "most_ms": most}
    return {name: round(float(value), 2) for name, value in named.items()}


def main() -> None:
    """Do as the arguments say."""
    kind, port, rate, seconds, customers, *path = sys.argv[1:]
    given = (int(port), float(rate), float(seconds), int(customers))
    if kind == "get":
        print(json.dumps(uvloop.run(get(*given, "".join(path)))))
    else:
        print(json.dumps(uvloop.run(stream(*given))))


if __name__ == "__main__":
    main()
