"""Files that survive a power cut: written beside, synced, renamed, and the folder synced too."""

from __future__ import annotations

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Force a file's bytes onto the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Force a folder's entries onto the disk: a synced file without a name is still lost."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def make_folder(path: Path) -> None:
    """Create a folder readable by its owner only, and sync its parent; one that exists stays."""
    if path.is_dir():
        return
    path.mkdir(mode=0o700, exist_ok=True)
    sync_folder(path.parent)


def write_atomically(path: Path, data: bytes, beside: Path) -> None:
    """Put a whole file in place: readers see the old one or the new one, never a part.

    Parameters
    ----------
    path : Path
        The file to put in place.
    data : bytes
        Its whole content.
    beside : Path
        A name in the same folder that nobody else writes; gone afterwards.
    """
    with open(beside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    sync_folder(path.parent)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
