"""How commands that go on are told to end."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from liftwerk.errors import ProjectError
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk.definitions import typed
else:
    typed = LazyModule("liftwerk.definitions.typed")

NICENESS = 5
"""What goes on beside a server leaves it the processors."""


def until_told() -> threading.Event:
    """Return what is set when this process is told to end; what is under way is finished."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    return ending


def at_eof(ending: threading.Event) -> None:
    """Stay behind whoever started this, and end when standard input does."""
    os.nice(NICENESS)
    threading.Thread(target=_wait_for_eof, args=(ending,), daemon=True).start()


def seconds(every: str, command: str) -> float:
    """Read a time between two rounds.

    Raises
    ------
    ProjectError
        If it is no duration.
    """
    try:
        return float(typed.Duration(every).seconds)
    except ValueError as error:
        raise ProjectError(f"--every is {every!r}", command, str(error)) from None


def _wait_for_eof(ending: threading.Event) -> None:
    # Not through sys.stdin: its lock would be held when this process ends for another reason.
    while os.read(0, 1024):
        pass
    ending.set()
