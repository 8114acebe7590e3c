"""Where the processes of one server count: a folder of theirs, there before the first of them.

The library that counts looks for it as it is imported: this file imports nothing of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from liftwerk.store.flock import exclusive

PREFIX = "liftwerk-metrics-"
NEW_SECONDS = 60.0
"""A folder that is younger may not be held yet."""

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MEMORY = Path("/dev/shm")
"""Counts are written through mapped pages: on a disk that is full that would end the process."""


@contextmanager
def measuring() -> Iterator[None]:
    """Let this process and those that it starts count in one folder, until it ends."""
    place = Path(tempfile.gettempdir())
    if MEMORY.is_dir():
        place = MEMORY
    _sweep(place)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True) as folder,
        exclusive(Path(folder)),
    ):
        os.environ[FOLDER_VARIABLE] = folder
        yield


def join() -> None:
    """Begin to count in a process that is started later; the folder may have been tidied away."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        Path(folder).mkdir(mode=0o700, exist_ok=True)


def _sweep(place: Path) -> None:
    """Remove what servers left that were killed: nobody holds their folders any more."""
    for folder in place.glob(f"{PREFIX}*"):
        # Another server's, or another user's, or gone meanwhile: none of our business.
        with suppress(TimeoutError, OSError):
            if time.time() - folder.stat().st_mtime > NEW_SECONDS:
                with exclusive(folder, patience=0.0):
                    shutil.rmtree(folder)
