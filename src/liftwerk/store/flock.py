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
def exclusive(path: Path, patience: float | None = None) -> Iterator[None]:
    """Hold ``path`` alone; waits for others so many seconds, up to `PATIENCE_SECONDS`.

    Raises
    ------
    TimeoutError
        If somebody else still holds it then.
    """
    with _held(path, fcntl.LOCK_EX, patience):
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold ``path`` together with other sharers; waits for an exclusive holder."""
    with _held(path, fcntl.LOCK_SH):
        yield


@contextmanager
def _held(path: Path, how: int, patience: float | None = None) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if patience is None:
            patience = PATIENCE_SECONDS
        _wait(descriptor, how, path, patience)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, how: int, path: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{path} stayed locked for {patience:g} s") from None
        time.sleep(STEP_SECONDS)
