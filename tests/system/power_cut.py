"""A disk that forgets, at a power cut, a random half of the sectors that were not synced.

The stores run their own statements on it: only their connection is handed in. What a cut leaves is
a copy of the files, opened as a user's next run would open them.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from liftwerk.errors import StoreFault
from liftwerk.store.sqlite import Connect, Connection
from tests.system.power_work import WORK

SECTOR = 512


class PowerCut(BaseException):
    """The power is gone: nothing that the program does from here on counts."""


class Disk(apsw.VFS):
    """A file system that keeps unsynced writes apart from what is on the disk."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "unix")
        self.name = name
        self.operations = 0
        self.cut_at: int | None = None
        self.pending: dict[str, list[tuple[int, bytes | None]]] = {}
        self.dead = False

    def xOpen(self, name: Any, flags: list[int]) -> DiskFile:  # noqa: N802
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        if self.tick():
            self.pending.pop(filename, None)
            super().xDelete(filename, syncdir)

    def tick(self) -> bool:
        """Count one operation that changes the disk; says whether there is power for it."""
        if self.dead:
            return False
        self.operations += 1
        if self.cut_at is not None and self.operations >= self.cut_at:
            raise PowerCut
        return True

    def leave(self, folder: Path, copy: Path, rng: random.Random) -> None:
        """Copy what the disk holds after the cut: of unsynced sectors, a random half."""
        shutil.copytree(folder, copy)
        for name, writes in self.pending.items():
            left = copy / Path(name).relative_to(folder)
            left.touch()
            with open(left, "r+b") as file:
                for offset, data in writes:
                    _write_half(file, offset, data, rng)
        self.dead = True


def _write_half(file: Any, offset: int, data: bytes | None, rng: random.Random) -> None:
    if data is None:
        if rng.random() < 0.5:
            file.truncate(offset)
        return
    for start in range(0, len(data), SECTOR):
        if rng.random() < 0.5:
            file.seek(offset + start)
            file.write(data[start : start + SECTOR])


class DiskFile(apsw.VFSFile):
    """One open file of a `Disk`: what was written is read back at once, synced or not."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        self.path = name
        if isinstance(name, apsw.URIFilename):
            self.path = name.filename()
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self.disk.tick():
            self.disk.pending.setdefault(self.path, []).append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        if self.disk.tick():
            self.disk.pending.setdefault(self.path, []).append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        if not self.disk.tick():
            return
        for offset, data in self.disk.pending.pop(self.path, []):
            if data is None:
                super().xTruncate(offset)
            else:
                super().xWrite(data, offset)
        # The machine that runs the test keeps its power: no real sync is needed.

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        try:
            found = bytearray(super().xRead(amount, offset))
        except apsw.IOError:
            found = bytearray()
        found = found.ljust(amount, b"\0")
        for start, data in self.disk.pending.get(self.path, []):
            if data is None:
                gone = max(0, min(amount, start - offset))
                found[gone:] = bytes(amount - gone)
                continue
            first, last = max(start, offset), min(start + len(data), offset + amount)
            if first < last:
                found[first - offset : last - offset] = data[first - start : last - start]
        return bytes(found)

    def xFileSize(self) -> int:  # noqa: N802
        size = super().xFileSize()
        for start, data in self.disk.pending.get(self.path, []):
            size = max(size, start + len(data or b""))
            if data is None:
                size = start
        return size


class Altered:
    """A connection that runs every statement as it is, but for the settings it was told of."""

    def __init__(self, connection: apsw.Connection, settings: dict[str, str]) -> None:
        self.connection = connection
        self.settings = settings

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> apsw.Cursor:
        return self.connection.execute(self.settings.get(sql, sql), parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> apsw.Cursor:
        return self.connection.executemany(sql, parameters)

    def close(self) -> None:
        self.connection.close()


def connect_to(disk: Disk, synchronous: str) -> Connect:
    """Make connections on a disk; checkpoints come often, so that they are cut too."""
    settings = {
        "pragma synchronous=full": f"pragma synchronous={synchronous}",
        "pragma wal_autocheckpoint=1000": "pragma wal_autocheckpoint=20",
    }

    def connect(path: Path) -> Altered:
        connection = apsw.Connection(str(path), vfs=disk.name)
        # Without it the log needs shared memory, which such a file system doesn't have.
        connection.execute("pragma locking_mode=exclusive").fetchall()
        return Altered(connection, settings)

    return connect


# --------------------------------------------------------------------------- trials


@dataclass(frozen=True)
class Tally:
    """What many cuts did: acknowledged rows lost, cuts that lost some, and what was wrong."""

    cuts: int
    lost_rows: int
    cuts_with_loss: int
    wrong: tuple[str, ...]


def cut_often(store: str, cuts: int, seed: int, folder: Path, synchronous: str = "full") -> Tally:
    """Cut the power at random moments of a store's work and look at what is left."""
    rng = random.Random(f"{store}/{seed}")
    with _disk(store) as disk:
        _work(store, disk, folder, synchronous)
        operations = disk.operations
    losses: list[int] = []
    wrong: list[str] = []
    for number in range(cuts):
        lost, found = _one_cut(store, rng, rng.randint(1, operations), folder, synchronous)
        losses.append(lost)
        wrong += [f"cut {number}: {line}" for line in found]
    with_loss = [lost for lost in losses if lost > 0]
    return Tally(cuts, sum(with_loss), len(with_loss), tuple(wrong))


def _one_cut(
    store: str, rng: random.Random, moment: int, folder: Path, synchronous: str
) -> tuple[int, list[str]]:
    left = folder / "left"
    shutil.rmtree(left, ignore_errors=True)
    with _disk(store) as disk:
        disk.cut_at = moment
        acknowledged = _work(
            store, disk, folder, synchronous, lambda: disk.leave(folder / "before", left, rng)
        )
    try:
        return WORK[store][1](left / store, acknowledged)
    except StoreFault as fault:
        return acknowledged, [str(fault)]


def _work(
    store: str,
    disk: Disk,
    folder: Path,
    synchronous: str,
    leave: Callable[[], None] | None = None,
) -> int:
    """Work until the power goes, if it does; returns how many rows were acknowledged."""
    before = folder / "before"
    shutil.rmtree(before, ignore_errors=True)
    os.makedirs(before)
    connections: list[Connection] = []
    make = connect_to(disk, synchronous)

    def connect(path: Path) -> Connection:
        connections.append(make(path))
        return connections[-1]

    acknowledged = 0

    def acknowledge(count: int) -> None:
        nonlocal acknowledged
        acknowledged = count

    with suppress(PowerCut, apsw.Error):
        WORK[store][0](before / store, connect, acknowledge)
    if leave is not None:
        leave()
    disk.dead = True
    for connection in connections:
        connection.close()
    return acknowledged


@contextmanager
def _disk(store: str) -> Iterator[Disk]:
    disk = Disk(f"cut-{store}")
    try:
        yield disk
    finally:
        disk.unregister()
