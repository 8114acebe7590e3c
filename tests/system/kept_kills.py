"""Views that are filled and follow the log in processes that are killed, beside one that is not.

Two homes get the same events. In one the views are filled and kept up to date undisturbed; in the
other each process that tries is killed, again and again, and the last one is let be. So are those
who erase somebody, or accept what a check found.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.features import fill
from liftwerk.features.checks.accept import accept
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
_EVENTS = {**shops.SHOP["events"], "order_completed": {**shops.SHOP["events"]["order_completed"]}}
_EVENTS["order_completed"]["properties"] = {
    **_EVENTS["order_completed"]["properties"],
    "revenue": {"type": "money"},
}
_VIEW = {"from": "page_viewed", "aggregate": "count"}
SHARED = shops.shop(
    identity={"at_most": 2},
    features={
        "views": {"entity": "customer", **_VIEW},
        "pages": {"entity": "session", **_VIEW},
        "spend": {**FEATURES["spend"], "checks": {"minimum": 0}},
    },
    events=_EVENTS,
    feature_views={
        **{one: {"purpose": one, "features": ["views"]} for one in PURPOSES},
        **{
            f"session_{one}": {"purpose": one, "entity": "session", "features": ["pages"]}
            for one in PURPOSES
        },
        "checked": {"purpose": "ads", "features": ["spend"]},
    },
)
"""A shop of which several share sessions and devices, and of which one view may be held."""

PART = 6
"""Events of a part: a short log is filled in several."""

_processes = multiprocessing.get_context("forkserver")
# Loaded once: each process is a fork of one that has all modules and no threads.
_processes.set_forkserver_preload([__name__])


Work = Callable[[Project, Stores, int], object]
"""What a process does that is killed: in which shop, and at what hour."""


def keep_up(project: Project, stores: Stores, hour: int) -> None:
    """Fill and follow."""
    fill.PART, before = PART, fill.PART
    try:
        Updater(project, stores, FixedClock(at(hour))).catch_up()
    finally:
        fill.PART = before


def erase_customer(customer: str, project: Project, stores: Stores, hour: int) -> None:
    """Erase somebody."""
    erase_one(project, stores, customer)


def accept_found(view: str, project: Project, stores: Stores, hour: int) -> None:
    """Accept what holds a view."""
    accept(project, stores, FixedClock(at(hour)), "test", view)


def at_work(
    home: Path, servers: dict[str, str], project: Project, work: Work, hour: int, fault: str | None
) -> None:
    """Do it, as the process that is killed."""
    if fault is not None:
        os.environ["LIFTWERK_FAULT"] = fault
    with open_stores(Home.open(home, servers=servers)) as stores:
        work(project, stores, hour)


class Pair:
    """The two homes.

    Parameters
    ----------
    folder : Path
    servers : dict of str to str
        ``online``: the URL of a server that keeps the values of the home in which is killed.
    project : Project
    """

    def __init__(
        self, folder: Path, servers: dict[str, str] | None = None, project: Project = SHOP
    ) -> None:
        self.project = project
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
                        put(self.project, stores, step.body, source=step.source, at=at(hour))
                    elif isinstance(step, Goes):
                        compact(self.project, stores, FixedClock(END))
                        erase_one(self.project, stores, f"{step.namespace}:{step.name}")
                if sort:
                    compact(self.project, stores, FixedClock(END))
        return hour

    def follow(self, hour: int) -> None:
        """Bring the quiet one up to date."""
        self.quietly(hour, keep_up)

    def quietly(self, hour: int, work: Work) -> None:
        """Do something in the quiet one."""
        with open_stores(Home.open(self.homes[0])) as stores:
            work(self.project, stores, hour)

    def kill(
        self,
        hour: int,
        fault: str | None = None,
        after: float | None = None,
        work: Work = keep_up,
    ) -> bool:
        """Let a process begin, and kill it; returns whether it had not come to its end.

        Parameters
        ----------
        hour : int
            What time it is.
        fault : str, optional
            At which visit of a named place.
        after : float, optional
            After how many seconds.
        work : callable
            What the process does.
        """
        told = (self.homes[1], self.servers, self.project, work, hour, fault)
        process = _processes.Process(target=at_work, args=told)
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

    def compare_anew(self, hour: int) -> None:
        """What stands in the one in which was killed is what the log says."""
        with self._opened() as (_, stores):
            before = kept_rows(stores.online)
            updater = Updater(self.project, stores, FixedClock(at(hour)))
            updater.forget()
            updater.catch_up()
            assert _filled(kept_rows(stores.online)) == _filled(before)

    @contextmanager
    def _opened(self) -> Iterator[list[Stores]]:
        with ExitStack() as opened:
            yield [
                opened.enter_context(open_stores(Home.open(home, servers=others)))
                for home, others in zip(self.homes, ({}, self.servers), strict=True)
            ]


def _filled(kept: dict[str, Any]) -> dict[str, Any]:
    """Leave out spaces in which nothing is."""
    return {name: found for name, found in kept.items() if found[1]}


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
