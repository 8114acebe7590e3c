"""Where the processes of one server count: a folder of theirs, there before the first of them.

The library that counts looks for it as it is imported: this file imports nothing of it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MEMORY = Path("/dev/shm")
"""Counts are written through mapped pages: on a disk that is full that would end the process."""


@contextmanager
def measuring() -> Iterator[None]:
    """Let this process and those that it starts count in one folder, until it ends."""
    place = None
    if MEMORY.is_dir():
        place = MEMORY
    with tempfile.TemporaryDirectory(
        prefix="liftwerk-metrics-", dir=place, ignore_cleanup_errors=True
    ) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        yield
