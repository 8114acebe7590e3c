"""Locks that the kernel frees when their process dies, on a file or on a folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 30.0
STEP_SECONDS = 0.01


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold ``path`` alone; waits for others up to `PATIENCE_SECONDS`.

    Raises
    ------
    TimeoutError
        If somebody else still holds it then.
    """
    with _held(path, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold ``path`` together with other sharers; waits for an exclusive holder."""
    with _held(path, fcntl.LOCK_SH):
        yield


@contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _wait(descriptor, how, path)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, how: int, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{path} stayed locked for {PATIENCE_SECONDS:g} s") from None
        time.sleep(STEP_SECONDS)
