"""Content-addressed files: the SHA-256 is the name, so nothing is ever overwritten."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Protocol

from liftwerk.errors import StoreFault, UnknownName
from liftwerk.faults import fault
from liftwerk.store.durable import make_folder, sync_folder, write_atomically

ARTEFACTS = {"file": "liftwerk.store.artefacts:FileArtefacts"}
"""URL scheme -> where the kind is; one line a kind."""

_INCOMING = "incoming-"


class Artefacts(Protocol):
    """Files named by their content's hash."""

    def put(self, data: bytes) -> str:
        """Keep the bytes durably; returns their SHA-256 in hexadecimal."""
        ...

    def get(self, sha: str) -> bytes:
        """Return the bytes, checked against their name."""
        ...

    def exists(self, sha: str) -> bool:
        """Say whether the bytes are kept."""
        ...

    def path(self, sha: str) -> Path:
        """Return a local file with the bytes, to be read only."""
        ...

    def delete(self, sha: str) -> bool:
        """Drop the bytes durably; says whether they were there."""
        ...

    def names(self) -> list[str]:
        """Return every hash that is kept, in order."""
        ...

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class FileArtefacts:
    """One flat folder of files.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     artefacts = FileArtefacts(Path(folder))
    ...     artefacts.get(artefacts.put(b"a model"))
    b'a model'
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.folder = folder
        for left in folder.glob(f"{_INCOMING}*"):
            # A process that was killed half-way leaves its part behind.
            if not Path("/proc", left.name.split("-")[1]).exists():
                left.unlink(missing_ok=True)

    def put(self, data: bytes) -> str:
        """Keep the bytes durably; returns their SHA-256 in hexadecimal."""
        sha = hashlib.sha256(data).hexdigest()
        if self._whole(sha):
            return sha
        beside = self.folder / f"{_INCOMING}{os.getpid()}-{secrets.token_hex(4)}"
        with fault("artefact_write"):
            try:
                write_atomically(self.folder / sha, data, beside)
            except OSError as error:
                beside.unlink(missing_ok=True)
                what = f"an artefact cannot be written ({error.strerror})"
                raise StoreFault(what, str(self.folder), "check space and permissions") from error
        return sha

    def get(self, sha: str) -> bytes:
        """Return the bytes, checked against their name.

        Raises
        ------
        UnknownName
            If they aren't kept.
        StoreFault
            If the file no longer is what its name says.
        """
        try:
            data = (self.folder / sha).read_bytes()
        except FileNotFoundError:
            raise UnknownName("no such artefact", sha, "run again to make it") from None
        if hashlib.sha256(data).hexdigest() != sha:
            hint = "delete the file and run again, or restore the home from a backup"
            raise StoreFault("damaged artefact", str(self.folder / sha), hint)
        return data

    def exists(self, sha: str) -> bool:
        """Say whether the bytes are kept."""
        return (self.folder / sha).is_file()

    def path(self, sha: str) -> Path:
        """Return the file with the bytes, to be read only."""
        return self.folder / sha

    def delete(self, sha: str) -> bool:
        """Drop the bytes durably; says whether they were there."""
        found = self.exists(sha)
        (self.folder / sha).unlink(missing_ok=True)
        sync_folder(self.folder)
        return found

    def names(self) -> list[str]:
        """Return every hash that is kept, in order."""
        names = (entry.name for entry in self.folder.iterdir())
        return sorted(name for name in names if not name.startswith(_INCOMING))

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        torn = [sha for sha in self.names() if not self._whole(sha)]
        return [f"{self.folder / sha}: not what its name says" for sha in torn]

    def close(self) -> None:
        """Nothing is open between calls."""

    def _whole(self, sha: str) -> bool:
        if not self.exists(sha):
            return False
        try:
            self.get(sha)
        except StoreFault:
            return False  # put repairs it
        return True
