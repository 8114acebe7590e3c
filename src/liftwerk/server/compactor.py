"""Processes beside the server, so that collecting never waits for what they do."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import Counter

RESTART_SECONDS = 1.0
"""Between its end and its next start, the first time; each further time twice as long."""

MOST_SECONDS = 60.0
"""Longest wait before it is started again: what stops it may be gone by then."""

WELL_SECONDS = 60.0
"""Whoever ran so long ran well: the next end is a first one again."""

END_SECONDS = 30.0

log = logging.getLogger("liftwerk.server")


@contextmanager
def beside(command: Sequence[str], what: str, ends: Counter | None = None) -> Iterator[None]:
    """Keep a process running while the server does; it is told to end when the server ends.

    Parameters
    ----------
    command : sequence of str
        What to run, such as ``liftwerk events compact --every 5s``; nothing if it is empty.
    what : str
        What it does, for the log.
    ends : prometheus_client.Counter, optional
        Counts how often it ended before its time.
    """
    if not command:
        yield
        return
    keeper = _Keeper(command, what, ends)
    keeper.start()
    try:
        yield
    finally:
        keeper.end()


class _Keeper(threading.Thread):
    """Starts the process again when it ends before its time."""

    def __init__(self, command: Sequence[str], what: str, ends: Counter | None) -> None:
        super().__init__(name=what, daemon=True)
        self._command = list(command)
        self._what = what
        self._ends = ends
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()

    def run(self) -> None:
        wait = RESTART_SECONDS
        while not self._ending.is_set():
            began = time.monotonic()
            with self._guard:
                if self._ending.is_set():
                    return
                # Its standard input ends with us, also when we are killed.
                process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
                )
                self._process = process
            with process:
                code = process.wait()
            if self._ending.is_set():
                return
            if time.monotonic() - began > WELL_SECONDS:
                wait = RESTART_SECONDS
            if self._ends is not None:
                self._ends.inc()
            log.warning("%s ended with %d; again in %g s", self._what, code, wait)
            self._ending.wait(wait)
            wait = min(wait * 2, MOST_SECONDS)

    def end(self) -> None:
        """Let it finish what it is at."""
        self._ending.set()
        with self._guard:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self.join(END_SECONDS)
