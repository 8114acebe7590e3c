"""`/metrics`: how the server does, for Prometheus; whichever process answers speaks for all."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from litestar import Response, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.parser import text_string_to_metric_families

from liftwerk.clock import Clock
from liftwerk.connectors.destinations.definition import DESTINATIONS
from liftwerk.definitions.project import Project
from liftwerk.errors import LiftwerkError, Unauthenticated
from liftwerk.features.checks.flags import read_flags
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.server.guard import same
from liftwerk.server.measures import REGISTRY
from liftwerk.server.measuring import FOLDER_VARIABLE
from liftwerk.server.openapi import problems
from liftwerk.store.stores import Stores

QUARANTINE_SECONDS = 60.0
"""How old the count of the quarantine may be: it is a scan."""


class Stock:
    """What the stores hold and what waits in them, read when it is asked for.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    """

    def __init__(self, project: Project, stores: Stores, clock: Clock) -> None:
        self._project = project
        self._stores = stores
        self._clock = clock
        self._quarantined = 0
        self._counted: float | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; where the stores cannot be read, only that."""
        try:
            figures = [*self._inbox(), self._quarantine(), *self._outbox(), self._views()]
        except LiftwerkError:
            figures = []
        yield GaugeMetricFamily(
            "liftwerk_stores_readable", "1 where the stores can be read", bool(figures)
        )
        yield from figures

    def _inbox(self) -> Iterator[Metric]:
        snapshot = self._stores.ledger.latest_snapshot()
        sorted_up_to = 0
        if snapshot is not None:
            sorted_up_to = snapshot.inbox_offset
        first = self._stores.inbox.read(sorted_up_to, 1).to_pylist()
        rows, seconds = 0, 0.0
        if first:
            rows = self._stores.inbox.last_offset() - first[0]["offset"] + 1
            seconds = max((self._clock.now() - first[0]["received"]).total_seconds(), 0.0)
        yield GaugeMetricFamily(
            "liftwerk_inbox_rows", "Events that are not yet sorted into tables", rows
        )
        yield GaugeMetricFamily(
            "liftwerk_inbox_lag_seconds", "How long the oldest of them has waited", seconds
        )

    def _quarantine(self) -> Metric:
        now = time.monotonic()
        if self._counted is None or now - self._counted > QUARANTINE_SECONDS:
            self._quarantined = sum(self._stores.inbox.quarantine_count().values())
            self._counted = now
        return GaugeMetricFamily(
            "liftwerk_quarantined_events", "Refused events that are kept", self._quarantined
        )

    def _outbox(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "liftwerk_forward_waiting_events", "To be sent, or sent again", labels=["destination"]
        )
        opened = GaugeMetricFamily(
            "liftwerk_forward_open", "1 where it is left alone for a while", labels=["destination"]
        )
        for name in self._project.get(DESTINATIONS):
            waiting.add_metric([name], self._stores.outbox.waiting(name).many)
            standing = self._stores.outbox.standing(name)
            is_open = standing is not None and standing.health.opened is not None
            opened.add_metric([name], is_open)
        yield waiting
        yield opened

    def _views(self) -> Metric:
        flagged = GaugeMetricFamily(
            "liftwerk_feature_view_flagged",
            "1 where a view stays at its last good state because a check fails",
            labels=["view"],
        )
        standing = {space.partition("@")[0] for space in read_flags(self._stores.online)}
        for name in self._project.get(FEATURE_VIEWS):
            flagged.add_metric([name], name in standing)
        return flagged


class _Processes:
    """The memory of the processes that count, in bytes by process."""

    def __init__(self, memory: dict[int, int]) -> None:
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        memory = GaugeMetricFamily(
            "liftwerk_process_resident_bytes", "Memory of a process that serves", labels=["pid"]
        )
        for pid, resident in self._memory.items():
            memory.add_metric([str(pid)], resident)
        yield memory


def exposition(stock: Stock) -> bytes:
    """Write all figures as Prometheus reads them.

    Parameters
    ----------
    stock : Stock
    """
    counted, memory = REGISTRY, _memory([os.getpid()])
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is not None:
        memory = _alive(Path(folder))
        counted = CollectorRegistry()
        MultiProcessCollector(counted, folder)
    present = CollectorRegistry()
    present.register(stock)
    present.register(_Processes(memory))
    text: bytes = generate_latest(counted) + generate_latest(present)
    return text


def figures_of(stock: Stock) -> Callable[[str], float | None]:
    """Return a function from the name of a figure to its value, all of its labels added up."""
    samples = [
        sample
        for family in text_string_to_metric_families(exposition(stock).decode())
        for sample in family.samples
    ]

    def figure(name: str) -> float | None:
        found = [sample.value for sample in samples if sample.name == name]
        if not found:
            return None
        return float(sum(found))

    return figure


def _alive(folder: Path) -> dict[int, int]:
    """Measure the processes that count; what a dead one held no longer waits anywhere."""
    pids = sorted({int(file.stem.rpartition("_")[2]) for file in folder.glob("*.db")})
    memory = _memory(pids)
    for pid in set(pids) - set(memory):
        mark_process_dead(pid, str(folder))
    return memory


def _memory(pids: list[int]) -> dict[int, int]:
    """Read the resident bytes of those that live; one that nobody has reaped yet has none."""
    resident = {}
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            resident[pid] = pages * os.sysconf("SC_PAGE_SIZE")
    return {pid: memory for pid, memory in resident.items() if memory}


def bearer(token: str | None, is_open: bool) -> Guard:
    """Make what asks for the token where no other guard does.

    Parameters
    ----------
    token : str or None
        As it is configured.
    is_open : bool
        Whether anybody may read the figures where there is none.
    """

    def demand(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if token is None and is_open:
            return
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if token is None or scheme.lower() != "bearer" or not same(given.strip(), token):
            hint = "set LIFTWERK_TOKEN, and send it as a bearer token"
            raise Unauthenticated("no token that works", "the request", hint)

    return demand


@get(
    "/metrics",
    summary="How the server does, for Prometheus",
    media_type=CONTENT_TYPE_PLAIN_0_0_4,
    responses=problems({401: "The token is asked for"}),
)
async def metrics(stock: NamedDependency[Stock]) -> Response[bytes]:
    """Give the figures of all processes together; see the operations page for their names."""
    text = await asyncio.to_thread(exposition, stock)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
