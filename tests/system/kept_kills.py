"""Views that are filled and follow the log in processes that are killed, beside one that is not.

Two homes get the same events. In one the views are filled and kept up to date undisturbed; in the
other each process that tries is killed, again and again, and the last one is let be.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

from liftwerk.clock import FixedClock
from liftwerk.events.compact import compact
from liftwerk.features import fill
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import put
from tests.features.kept_rows import kept_rows
from tests.features.test_update import FEATURES
from tests.identity.histories import END, Comes, Goes, Step, at, erase_one

NAMES = ("views", "spend", "mean_9h", "last_order", "loyalty")
PURPOSES = ("ads", "personalisation")
SHOP = shops.shop(
    identity={"at_most": 2},
    features={name: FEATURES[name] for name in NAMES},
    feature_views={one: {"purpose": one, "features": list(NAMES)} for one in PURPOSES},
)
PART = 6
"""Events of a part: a short log is filled in several."""

_processes = multiprocessing.get_context("forkserver")
# Loaded once: each process is a fork of one that has all modules and no threads.
_processes.set_forkserver_preload([__name__])


def keep_up(home: Path, servers: dict[str, str], fault: str | None, hour: int) -> None:
    """Fill and follow, as the process that is killed."""
    if fault is not None:
        os.environ["LIFTWERK_FAULT"] = fault
    fill.PART = PART
    with open_stores(Home.open(home, servers=servers)) as stores:
        Updater(SHOP, stores, FixedClock(at(hour))).catch_up()


class Pair:
    """The two homes.

    Parameters
    ----------
    folder : Path
    servers : dict of str to str
        ``online``: the URL of a server that keeps the values of the home in which is killed.
    """

    def __init__(self, folder: Path, servers: dict[str, str] | None = None) -> None:
        self.homes = [folder / "quiet", folder / "killed"]
        self.servers = servers or {}
        self.counts: Counter[str] = Counter()
        for home, others in zip(self.homes, ({}, self.servers), strict=True):
            open_stores(Home.open(home, create=True, servers=others)).close()

    def live(self, steps: list[Step], sort: bool) -> int:
        """Let the same come in in both; returns the hour."""
        hour = 0
        with self._opened() as both:
            for stores in both:
                for step in steps:
                    if isinstance(step, Comes):
                        hour = step.hour
                        put(SHOP, stores, step.body, source=step.source, at=at(hour))
                    elif isinstance(step, Goes):
                        compact(SHOP, stores, FixedClock(END))
                        erase_one(SHOP, stores, f"{step.namespace}:{step.name}")
                if sort:
                    compact(SHOP, stores, FixedClock(END))
        return hour

    def follow(self, hour: int) -> None:
        """Bring the quiet one up to date."""
        fill.PART, before = PART, fill.PART
        try:
            with open_stores(Home.open(self.homes[0])) as stores:
                Updater(SHOP, stores, FixedClock(at(hour))).catch_up()
        finally:
            fill.PART = before

    def kill(self, hour: int, fault: str | None = None, after: float | None = None) -> bool:
        """Let a process begin, and kill it; returns whether it had not come to its end.

        Parameters
        ----------
        hour : int
            What time it is.
        fault : str, optional
            At which visit of a named place.
        after : float, optional
            After how many seconds.
        """
        told = (self.homes[1], self.servers, fault, hour)
        process = _processes.Process(target=keep_up, args=told)
        process.start()
        if after is not None:
            time.sleep(after)
            process.kill()
        process.join()
        killed = process.exitcode == -signal.SIGKILL
        assert killed or process.exitcode == 0, process.exitcode
        self.counts["processes"] += 1
        self.counts["killed"] += killed
        return killed

    def compare(self) -> None:
        """The same keys, values and offsets stand in both."""
        with self._opened() as both:
            quiet, killed = (kept_rows(stores.online) for stores in both)
        assert quiet.keys() == killed.keys()
        for name, expected in quiet.items():
            assert killed[name] == expected, name
            self.counts["rows"] += len(expected[1])

    @contextmanager
    def _opened(self) -> Iterator[list[Stores]]:
        with ExitStack() as opened:
            yield [
                opened.enter_context(open_stores(Home.open(home, servers=others)))
                for home, others in zip(self.homes, ({}, self.servers), strict=True)
            ]


def stages(steps: list[Step], many: int) -> list[list[Step]]:
    """Part a history: half of it is there before anything is filled."""
    half = len(steps) // 2
    rest = len(steps) - half
    bounds = [half + rest * place // many for place in range(many + 1)]
    return [steps[:half], *(steps[a:b] for a, b in pairwise(bounds))]


def at_random(draw: random.Random, seconds: float) -> dict[str, object]:
    """Choose where to kill: at a named place, or at any moment."""
    if draw.random() < 0.5:
        moment = draw.choice(("before", "after"))
        return {"fault": f"online_commit:{moment}:{draw.randrange(1, 4)}"}
    return {"after": draw.uniform(0.0, seconds)}
