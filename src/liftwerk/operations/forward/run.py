"""Every destination at once, each in a thread of its own: one that is slow holds up no other."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial

import numpy

from liftwerk.clock import Clock
from liftwerk.connectors.destinations.definition import DESTINATIONS
from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError, UnknownName
from liftwerk.operations.forward.deliver import Line, Pause, deliver
from liftwerk.operations.forward.take import take
from liftwerk.store.home import FORWARD_LOCK
from liftwerk.store.stores import Stores

LOOK_SECONDS = 1.0
"""How often a destination with nothing to do looks for news."""


def forward(
    project: Project,
    stores: Stores,
    clock: Clock,
    generator: numpy.random.Generator,
    *,
    only: str | None = None,
    once: bool = True,
    stop: threading.Event | None = None,
    pause: Pause | None = None,
) -> None:
    """Tell the destinations what they have not been told.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    generator : numpy.random.Generator
        For the back-off.
    only : str, optional
        Only this destination; all by default.
    once : bool
        Return when nothing can be done at this moment; otherwise go on until `stop`.
    stop : threading.Event, optional
        Set it to end after the requests under way.
    pause : callable, optional
        Waits so many seconds and says whether to stop; by default it waits for `stop`.

    Raises
    ------
    UnknownName
        If no such destination is declared.
    ProjectError
        If a secret is not in the environment.
    HomeInUse
        If another process forwards from this home.
    """
    halt = stop or threading.Event()
    names = [*project.get(DESTINATIONS)]
    if only is not None:
        project.lookup(DESTINATIONS, only)
        names = [only]
    if not names:
        raise UnknownName("no destination is declared", "[destinations]", "see `forwarding`")
    with stores.home.hold("forward", FORWARD_LOCK):
        lines = [
            Line(
                project,
                stores,
                clock,
                name,
                project.get(DESTINATIONS)[name],
                _secret(project, name),
                own,
                pause or halt.wait,
            )
            for name, own in zip(names, generator.spawn(len(names)), strict=True)
        ]
        _all_at_once([partial(_keep_going, line, once, halt) for line in lines], halt)


def _secret(project: Project, name: str) -> str:
    variable = project.get(DESTINATIONS)[name].secret_env
    secret = os.environ.get(variable)
    if not secret:
        hint = f"export {variable}=…"
        raise ProjectError(f"no secret for {name!r}", f"destinations.{name}.secret_env", hint)
    return secret


def _all_at_once(work: list[Callable[[], None]], halt: threading.Event) -> None:
    with ThreadPoolExecutor(len(work), "forward") as pool:
        running = [pool.submit(one) for one in work]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            # Also on Ctrl-C, and when one fails: the others end after the request under way.
            if any(not one.done() for one in running):
                halt.set()
        for one in running:
            one.result()


def _keep_going(line: Line, once: bool, halt: threading.Event) -> None:
    try:
        while not halt.is_set() and not line.stopped:
            before = line.stores.outbox.standing(line.name)
            line.stores.expire(line.clock.now())
            take(line.project, line.stores, line.name, line.destination, line.clock.now())
            has_moved = line.stores.outbox.standing(line.name) != before
            if deliver(line) or has_moved:
                continue
            if once:
                return
            line.rest(LOOK_SECONDS)
    finally:
        line.client.close()
