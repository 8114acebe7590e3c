"""What each process counts while it serves; `liftwerk.server.metrics` adds up all of them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from liftwerk.events.collect import Collected
from liftwerk.server.guard import App, Message, Receive, Send

REGISTRY = CollectorRegistry()

REQUESTS = Counter(
    "liftwerk_requests", "Requests that were answered, by status", ["status"], registry=REGISTRY
)
EVENTS = Counter(
    "liftwerk_events", "Events that came in, by what became of them", ["outcome"], registry=REGISTRY
)
GROUP_ROWS = Histogram(
    "liftwerk_group_commit_rows",
    "Rows that shared one transaction",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000),
    registry=REGISTRY,
)
COMMIT_SECONDS = Histogram(
    "liftwerk_commit_seconds",
    "How long a transaction of the inbox took, until the disk had it",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
WAITING_BYTES = Gauge(
    "liftwerk_waiting_bytes",
    "What waits for the disk",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
SEQUENCER_ENDS = Counter(
    "liftwerk_sequencer_ends",
    "How often the process that sorts events into tables ended before it was told to",
    registry=REGISTRY,
)
FEATURE_SAMPLES = Counter(
    "liftwerk_feature_samples",
    "Answers of feature views that were drawn to be noted, by what became of them",
    ["outcome"],
    registry=REGISTRY,
)

_ACCEPTED = EVENTS.labels("accepted")
_REFUSED = EVENTS.labels("refused")
_FILTERED = EVENTS.labels("filtered")


def count_events(done: Collected) -> None:
    """Count what became of a request's events."""
    _ACCEPTED.inc(done.accepted)
    if done.refused:
        _REFUSED.inc(len(done.refused))
    if done.filtered:
        _FILTERED.inc(done.filtered)


def count_samples(outcome: str, many: int) -> None:
    """Count answers of feature views that were drawn to be noted."""
    FEATURE_SAMPLES.labels(outcome).inc(many)


def watch_commit(rows: int, seconds: float, waiting: int) -> None:
    """Count a group of requests that went to the disk together."""
    GROUP_ROWS.observe(rows)
    COMMIT_SECONDS.observe(seconds)
    WAITING_BYTES.set(waiting)


class Counted:
    """An ASGI application before another: counts answers by status.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._by_status: dict[int, Counter] = {}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Let the application answer, and count it."""

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._of(message["status"]).inc()
            await send(message)

        await self._app(scope, receive, send_counted)

    def _of(self, status: int) -> Counter:
        if status not in self._by_status:
            self._by_status[status] = REQUESTS.labels(str(status))
        return self._by_status[status]
