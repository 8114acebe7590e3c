"""The folder that holds everything a project keeps, its format, and the one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from liftwerk.errors import HomeFormat, HomeInUse, StoreFault
from liftwerk.store.definition import server_urls
from liftwerk.store.durable import make_folder, sync_folder, write_atomically
from liftwerk.store.flock import exclusive

if TYPE_CHECKING:
    from liftwerk.definitions.project import Project

FORMAT = 1
"""The format that this version reads and writes."""

MIGRATIONS: dict[int, Callable[[Path], None]] = {}
"""Format -> what turns it into the next one; each must be able to run again after a kill."""

UNFIT = "%[]*"
"""Delta and DuckDB read these in a path as something else than themselves."""

FOLDERS = ("artefacts", "ids", "tables")
DATABASES = ("inbox.sqlite", "decisions.sqlite", "ledger.sqlite", "online.sqlite", "outbox.sqlite")
DAY_KEYS = "keys"
"""The folder of the keys that seal what waits for a delivery; made with the first of them."""
LOCK = "lock"
SORTING = "compact"
"""What the sequencer holds the home for: a short while, again and again."""
SORTING_SECONDS = 60.0
"""How long a command waits for it."""
POLL_SECONDS = 0.05
FORWARD_LOCK = "forward.lock"
"""Held by the one process that tells other systems, beside whoever writes the home."""
COLLECT_LOCK = "collect.lock"
"""Held by every process that takes events in, together."""
LOCKS = (LOCK, FORWARD_LOCK, COLLECT_LOCK)
FORMAT_FILE = "format"
_BESIDE = "format.new"

_OWN = {
    # Another inbox counts its offsets anew, and what still waits in this one would be lost.
    "inbox": ("an inbox", "begin with a new home, or take [store] inbox out"),
    # What no erasure reaches any more must not stay. It is worked out again from the log.
    "online": ("online values", "delete it with its -wal and -shm, or take [store] online out"),
}
"""What to do about a file in the home whose place a server shall take."""


class Home:
    """A project's home; `open` it, then `hold` it before writing more than one row.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     home = Home.open(Path(folder) / ".liftwerk", create=True)
    ...     with home.hold("run"):
    ...         sorted(entry.name for entry in home.path.iterdir())
    ['artefacts', 'format', 'ids', 'lock', 'tables']
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._servers: dict[str, str] = {}

    @classmethod
    def open(
        cls, path: Path, create: bool = False, servers: Mapping[str, str] | None = None
    ) -> Home:
        """Open a home, migrating an older one after a backup.

        Parameters
        ----------
        path : Path
            The folder.
        create : bool
            Make it when it isn't there; one whose making was interrupted is completed.
        servers : mapping of str to str, optional
            URLs of the servers that keep the inbox or the online values; by default a file in the
            home does.

        Raises
        ------
        HomeFormat
            If there is none and ``create`` is false, if a newer version wrote it, or if the folder
            holds something else.
        HomeInUse
            If it has to be migrated and another process holds it.
        StoreFault
            If the folder can't be read or written, or its path holds one of `UNFIT`, or if it has
            a file already of what a server shall keep.
        """
        path = path.absolute()
        unfit = sorted(set(UNFIT) & set(str(path)))
        if unfit:
            what = f"a home's path cannot hold {' '.join(unfit)}"
            raise StoreFault(what, str(path), "move the project, or set [store] home elsewhere")
        try:
            home = cls._opened(path, create)
        except OSError as error:
            what = f"the home cannot be opened ({error.strerror})"
            raise StoreFault(what, str(path), "check the path and its permissions") from error
        for promise, url in dict(servers or {}).items():
            own = path / f"{promise}.sqlite"
            if own.exists():
                what, hint = _OWN[promise]
                raise StoreFault(f"the home has {what} of its own", str(own), hint)
            home._servers[promise] = url
        return home

    @classmethod
    def of(cls, project: Project, create: bool = False) -> Home:
        """Open a project's home, with the servers that ``[store]`` names; see `open`."""
        return cls.open(project.home, create, server_urls(project))

    @classmethod
    def _opened(cls, path: Path, create: bool) -> Home:
        written = _written_format(path)
        if written is None:
            if not create:
                raise HomeFormat("no home here", str(path), "`liftwerk run` makes one")
            _create(path)
            written = FORMAT
        if written > FORMAT:
            what = f"the home has format {written}, this liftwerk knows {FORMAT}"
            raise HomeFormat(what, str(path), "use the newer liftwerk that wrote it")
        home = cls(path)
        if written < FORMAT:
            with home.hold("migrate"):
                _migrate(path)
        return home

    @classmethod
    def exists(cls, path: Path) -> bool:
        """Say whether a complete home is there."""
        return (path / FORMAT_FILE).is_file()

    @property
    def tables(self) -> Path:
        """The folder of the Delta tables."""
        return self.path / "tables"

    @property
    def artefacts(self) -> Path:
        """The folder of the content-addressed files."""
        return self.path / "artefacts"

    @property
    def urls(self) -> dict[str, str]:
        """Promise -> URL of the store that keeps it."""
        own = {
            "inbox": f"sqlite:{self.path / 'inbox.sqlite'}",
            "tables": f"delta:{self.tables}",
            "ledger": f"sqlite:{self.path / 'ledger.sqlite'}",
            "decisions": f"sqlite:{self.path / 'decisions.sqlite'}",
            "outbox": f"sqlite:{self.path / 'outbox.sqlite'}",
            "online": f"sqlite:{self.path / 'online.sqlite'}",
            "artefacts": f"file:{self.artefacts}",
        }
        return own | self._servers

    @contextmanager
    def hold(self, purpose: str, lock: str = LOCK, wait: float = 0.0) -> Iterator[None]:
        """Be the only writer; readers go on.

        Parameters
        ----------
        purpose : str
            The command, shown to whoever finds the home held.
        lock : str
            `LOCK`, or `FORWARD_LOCK` to be the only one who forwards.
        wait : float
            Seconds to wait where it is only being sorted, as it is beside a server again and again.

        Raises
        ------
        HomeInUse
            If another process (or another part of this one) holds it, naming its pid.
        """
        # Never unlinked: two processes could then hold two files of the same name.
        descriptor = os.open(self.path / lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            until = time.monotonic() + wait
            while not _taken(descriptor):
                pid, what = _holder(descriptor)
                if what not in (SORTING, "") or time.monotonic() >= until:
                    hint = f"{_named(pid, what)} holds it; wait or stop it"
                    raise HomeInUse("home in use", str(self.path), hint)
                time.sleep(POLL_SECONDS)
            os.ftruncate(descriptor, 0)
            note = {"pid": os.getpid(), "purpose": purpose}
            os.pwrite(descriptor, json.dumps(note).encode(), 0)
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def join(self, lock: str) -> int:
        """Take part in what a lock stands for; closing the descriptor, or dying, ends it."""
        descriptor = os.open(self.path / lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def is_joined(self, lock: str) -> bool:
        """Say whether any process takes part."""
        descriptor = os.open(self.path / lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> tuple[int, str]:
    """Return who holds it and for what; nothing between its lock and its note."""
    try:
        note = json.loads(os.pread(descriptor, 1000, 0))
    except json.JSONDecodeError:
        return 0, ""
    return int(note["pid"]), str(note["purpose"])


def _named(pid: int, purpose: str) -> str:
    if not purpose:
        return "another process"
    return f"process {pid} ({purpose})"


def _written_format(path: Path) -> int | None:
    try:
        text = (path / FORMAT_FILE).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    if not text.isdecimal():
        hint = "restore the home from a backup"
        raise HomeFormat("damaged format file", str(path / FORMAT_FILE), hint)
    return int(text)


def _create(path: Path) -> None:
    """Make a home; the format file comes last, so that without it the making is just repeated."""
    for folder in (*reversed(path.parents), path):
        make_folder(folder)
    with exclusive(path):
        if _written_format(path) is not None:
            return  # another process was making it too, and was first
        ours = {*FOLDERS, LOCK, _BESIDE}
        foreign = sorted(entry.name for entry in path.iterdir() if entry.name not in ours)
        if foreign:
            what = f"not a liftwerk home (it holds {foreign[0]!r})"
            raise HomeFormat(what, str(path), "choose an empty folder for [store] home")
        for name in FOLDERS:
            make_folder(path / name)
        write_atomically(path / FORMAT_FILE, f"{FORMAT}\n".encode(), path / _BESIDE)


def _migrate(path: Path) -> None:
    written = _written_format(path)
    if written is None or written >= FORMAT:
        return  # whoever held the home before us has done it
    backup = path.with_name(f"{path.name}.format-{written}.backup")
    if not backup.exists():
        partial = backup.with_name(backup.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(path, partial)
        os.sync()
        os.rename(partial, backup)
        sync_folder(backup.parent)
    for step in range(written, FORMAT):
        if step not in MIGRATIONS:
            what = f"no way from format {step} to {step + 1}"
            raise HomeFormat(what, str(path), "use the liftwerk that wrote it")
        MIGRATIONS[step](path)
        write_atomically(path / FORMAT_FILE, f"{step + 1}\n".encode(), path / _BESIDE)
