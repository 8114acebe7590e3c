"""Several processes that collect on one port; one that dies is replaced, one that ends drains."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces

from liftwerk.errors import EnvironmentFault
from liftwerk.server.app import collect_app
from liftwerk.server.collector import OpenDoor
from liftwerk.server.guard import is_loopback
from liftwerk.server.measures import Counted
from liftwerk.server.measuring import join
from liftwerk.server.serve import TOKEN_VARIABLE, address_of, take_port, wait_until_open

PROJECT_VARIABLE = "LIFTWERK_SERVE_PROJECT"
DRY_VARIABLE = "LIFTWERK_SERVE_DRY"
LOOPBACK_VARIABLE = "LIFTWERK_SERVE_LOOPBACK"
WORKERS_VARIABLE = "LIFTWERK_SERVE_WORKERS"

AT_ONCE = 512
"""Requests that one process works on; more wait in the socket."""

DRAIN_SECONDS = 20
"""How long requests under way may take when a process is told to end."""

RESPAWN_SECONDS = 0.2

GIVE_UP = (5, 60.0)
"""Collapses in how many seconds end the collector: something is wrong that no restart mends."""


def application() -> Counted:
    """Build what one worker serves; it is told by its environment which project."""
    join()
    path = Path(os.environ[PROJECT_VARIABLE])
    processes = int(os.environ[WORKERS_VARIABLE])
    dry = os.environ[DRY_VARIABLE] == "1"
    opened = OpenDoor(path, dry=dry, processes=processes)
    token = os.environ.get(TOKEN_VARIABLE) or None
    return collect_app(opened, token=token, open_figures=os.environ[LOOPBACK_VARIABLE] == "1")


def serve_collectors(
    path: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int = 1,
    dry: bool = False,
    announce: Callable[[str], None],
) -> None:
    """Collect until SIGTERM or SIGINT; requests under way are answered first.

    Parameters
    ----------
    path : pathlib.Path
        The project's folder or its liftwerk.toml.
    host : str
        Where to listen.
    port : int
        The port; 0 takes a free one.
    workers : int
        How many processes.
    dry : bool
        Check and answer, and store nothing.
    announce : callable
        Called with the address once a worker answers.

    Raises
    ------
    EnvironmentFault
        If the port cannot be had, or the processes die again and again.
    """
    OpenDoor(path, dry=True).close()  # what is wrong with the project is said before it listens
    port = take_port(host, port)
    os.environ[PROJECT_VARIABLE] = str(path.resolve())
    os.environ[WORKERS_VARIABLE] = str(workers)
    os.environ[LOOPBACK_VARIABLE] = "01"[is_loopback(host)]
    os.environ[DRY_VARIABLE] = "01"[dry]
    logging.getLogger("_granian").setLevel(logging.ERROR)

    def tell() -> None:
        wait_until_open(host, port)
        announce(address_of(host, port))

    threading.Thread(target=tell, name="announce", daemon=True).start()
    collapses: list[float] = []
    # Granian ends itself when a process dies twice within seconds, as one does that runs out of
    # memory under load. Then all of them begin anew.
    while not _served(host, port, workers):
        most, seconds = GIVE_UP
        now = time.monotonic()
        collapses = [*(then for then in collapses if now - then < seconds), now]
        if len(collapses) == most:
            hint = "look for what kills them: memory, `dmesg`, `liftwerk doctor`"
            raise EnvironmentFault("the collecting processes keep dying", "serve", hint)


def _served(host: str, port: int, workers: int) -> bool:
    """Serve; says whether it ended because it was told to."""
    server = Granian(
        "liftwerk.server.workers:application",
        factory=True,
        address=host,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backpressure=AT_ONCE,
        respawn_failed_workers=True,
        respawn_interval=RESPAWN_SECONDS,
        workers_kill_timeout=DRAIN_SECONDS,
        log_enabled=False,
    )
    with suppress(SystemExit):  # how Granian says that it gave up
        server.serve()
    return bool(server.interrupt_signal)
