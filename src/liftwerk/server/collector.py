"""Opens a project for collecting: its stores, its keys, and the door in front of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from litestar import Litestar
from litestar.di import Provide

from liftwerk.clock import SystemClock
from liftwerk.connectors.destinations.delivery import wanted_of
from liftwerk.connectors.segment.translate import Calls
from liftwerk.decisions.definition import PLACEMENTS
from liftwerk.definitions import load
from liftwerk.definitions.project import Project
from liftwerk.events.collect import Collector
from liftwerk.events.definition import SOURCES
from liftwerk.events.refreshed import Refreshed
from liftwerk.experiments.serve import Answers
from liftwerk.governance.key_ring import KeyRing
from liftwerk.sections import SECTIONS
from liftwerk.server.collect import Door
from liftwerk.server.measures import watch_commit
from liftwerk.server.metrics import Stock
from liftwerk.store.home import COLLECT_LOCK, Home
from liftwerk.store.stores import Stores, open_stores

KEY_SECONDS = 2.0
"""How old a process's knowledge of the keys may be: a revoked one is refused within this time."""


class LiveKeys:
    """The project's keys, read again every few seconds.

    Parameters
    ----------
    project : Project
    stores : Stores
    environ : mapping of str to str
    """

    def __init__(self, project: Project, stores: Stores, environ: Mapping[str, str]) -> None:
        self._ring = Refreshed(lambda: KeyRing.load(project, stores, environ), KEY_SECONDS)
        self._clock = SystemClock()

    def source_of(self, secret: str) -> str | None:
        """Return the key's source; None for a key that is not known, or has ended."""
        return self._ring.value().source_of(secret, self._clock.now())

    def close(self) -> None:
        """Stop reading them."""
        self._ring.close()


class OpenDoor:
    """A door with all that it stands on; closing it writes what waits.

    Parameters
    ----------
    path : pathlib.Path
        The project's folder or its liftwerk.toml.
    dry : bool
        Check and answer, and store nothing.
    processes : int
        How many collect beside each other.
    """

    def __init__(self, path: Path, *, dry: bool = False, processes: int = 1) -> None:
        self.project = load(path, SECTIONS)
        self._stores = open_stores(Home.of(self.project, create=True))
        self._joined = self._stores.home.join(COLLECT_LOCK)
        clock = SystemClock()
        self.collector = Collector(
            self.project,
            self._stores,
            clock,
            dry=dry,
            processes=processes,
            watch=watch_commit,
            wanted=wanted_of(self.project),
        )
        self.stock = Stock(self.project, self._stores, clock)
        self._keys = LiveKeys(self.project, self._stores, os.environ)
        sources = self.project.get(SOURCES)
        placements = self.project.get(PLACEMENTS)
        controls = {name: placement.control for name, placement in placements.items()}
        self._answers = Answers(self.project, self.collector, controls)
        calls = Calls.of(self.project)
        self.door = Door(self.collector, self._keys, sources, calls, self._answers)

    def close(self) -> None:
        """Write what waits, and close the stores."""
        self._answers.close()
        self.collector.close()
        self._keys.close()
        os.close(self._joined)
        self._stores.close()


def give_door(door: Door) -> Provide:
    """Hand a door to the handlers."""

    async def provide() -> Door:
        return door

    return Provide(provide)


def give_stock(stock: Stock) -> Provide:
    """Hand the stores' figures to the handlers."""

    async def provide() -> Stock:
        return stock

    return Provide(provide)


def closing(opened: OpenDoor) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Close a door when the application ends."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            opened.close()

    return lifespan
