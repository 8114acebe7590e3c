"""The client of the benchmark `collect`: one process, many connections, each with one request out.

    python -m benchmarks.collect_client PORT KEY SIZE SECONDS CONNECTIONS RATE SEED

Prints one JSON line: requests and events acknowledged, seconds, latencies in milliseconds, CPU.
SIZE events a request (1: the event alone); RATE events a second, 0 for as fast as it goes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import uvloop

from benchmarks.traffic import Traffic


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is there."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._began = 0.0
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = b""
        self._load.answered(head[9:12], time.perf_counter() - self._began)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(error)

    def _send(self) -> None:
        wait = self._load.wait()
        if wait is None:
            self._load.idle()
        elif wait > 0:
            asyncio.get_running_loop().call_later(wait, self._now)
        else:
            self._now()

    def _now(self) -> None:
        body = self._load.body()
        self._began = time.perf_counter()
        self._transport.write(self._load.head + b"%d\r\n\r\n" % len(body) + body)


class Load:
    """What is sent, how fast, and what came of it."""

    def __init__(self, port: int, key: str, size: int, seconds: float, rate: float) -> None:
        self.head = (
            f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._size = size
        self._seconds = seconds
        self._rate = rate
        self._latencies: list[float] = []
        self._other: dict[str, int] = {}
        self._sent = 0
        self._busy = 0
        self._bodies: Iterator[bytes] = iter(())
        self._done: asyncio.Future[None] | None = None

    def body(self) -> bytes:
        """Return the next request's body."""
        return next(self._bodies)

    def wait(self) -> float | None:
        """Say how long to wait before the next request; None when it is over."""
        gone = time.perf_counter() - self._began
        if gone > self._seconds:
            return None
        self._sent += self._size
        if not self._rate:
            return 0.0
        return max(0.0, self._sent / self._rate - gone)

    def answered(self, status: bytes, seconds: float) -> None:
        """Count an answer."""
        if status == b"200":
            self._latencies.append(seconds)
        else:
            self._other[status.decode()] = self._other.get(status.decode(), 0) + 1

    def lost(self, error: Exception | None) -> None:
        """Count a connection that the server ended."""
        if self._done is not None and not self._done.done():
            self._other["lost"] = self._other.get("lost", 0) + 1
            self.idle()

    def idle(self) -> None:
        """One connection is through."""
        self._busy -= 1
        if self._busy == 0 and self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def run(self, port: int, connections: int, bodies: Iterator[bytes]) -> dict[str, object]:
        """Send until the time is over; answers under way are awaited."""
        loop = asyncio.get_running_loop()
        self._bodies = bodies
        self._busy = connections
        self._done = loop.create_future()
        self._began = time.perf_counter()
        used = time.process_time()
        for _ in range(connections):
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
        await self._done
        seconds = time.perf_counter() - self._began
        used = time.process_time() - used
        events = len(self._latencies) * self._size
        p50, p99 = np.percentile(self._latencies, [50, 99]) * 1e3
        return {
            "requests": len(self._latencies),
            "events": events,
            "seconds": round(seconds, 2),
            "events_per_second": round(events / seconds),
            "p50_ms": round(float(p50), 2),
            "p99_ms": round(float(p99), 2),
            "client_cpu_share": round(used / seconds, 2),
            "other_answers": self._other,
        }


def main() -> None:
    """Send as the arguments say."""
    port, size, connections, seed = (int(sys.argv[place]) for place in (1, 3, 5, 7))
    seconds, rate = float(sys.argv[4]), float(sys.argv[6])
    traffic = Traffic(seed, datetime.now(UTC))
    bodies = traffic.batches(size)
    if size == 1:
        bodies = traffic.singles()
    load = Load(port, sys.argv[2], size, seconds, rate)
    print(json.dumps(uvloop.run(load.run(port, connections, bodies))))


if __name__ == "__main__":
    main()
