"""The sequencer beside the server: a process of its own, so that collecting never waits for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = "5s"
RESTART_SECONDS = 1.0
END_SECONDS = 30.0


@contextmanager
def beside(path: Path, *, wanted: bool) -> Iterator[None]:
    """Keep `liftwerk events compact --every` running while the server does.

    Parameters
    ----------
    path : pathlib.Path
        The project's folder or its liftwerk.toml.
    wanted : bool
        Whether it should run at all.
    """
    if not wanted:
        yield
        return
    keeper = _Keeper(path)
    keeper.start()
    try:
        yield
    finally:
        keeper.end()


class _Keeper(threading.Thread):
    """Starts the process again when it ends before its time."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="compactor", daemon=True)
        arguments = ("events", "compact", "--every", EVERY, "--project", str(path))
        self._command = [sys.executable, "-m", "liftwerk.cli", *arguments]
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()

    def run(self) -> None:
        while not self._ending.is_set():
            with self._guard:
                if self._ending.is_set():
                    return
                self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
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
