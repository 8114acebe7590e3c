"""The sequencer beside the server: a process of its own, so that collecting never waits for it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

RESTART_SECONDS = 1.0
END_SECONDS = 30.0


@contextmanager
def beside(command: Sequence[str]) -> Iterator[None]:
    """Keep a process running while the server does; it is told to end when the server ends.

    Parameters
    ----------
    command : sequence of str
        What to run, such as ``liftwerk events compact --every 5s``; nothing if it is empty.
    """
    if not command:
        yield
        return
    keeper = _Keeper(command)
    keeper.start()
    try:
        yield
    finally:
        keeper.end()


class _Keeper(threading.Thread):
    """Starts the process again when it ends before its time."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__(name="compactor", daemon=True)
        self._command = list(command)
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()

    def run(self) -> None:
        while not self._ending.is_set():
            with self._guard:
                if self._ending.is_set():
                    return
                # Its standard input ends with us, also when we are killed.
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
                )
            self._process.wait()
            self._ending.wait(RESTART_SECONDS)

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
