"""One SQLite file as the stores use it: durable at every commit, safe for threads and processes.

A store says its tables once, in its ``SCHEMA``, and works through `Database`. How a connection is
made can be handed in, so that the power-loss test runs the very same statements on a file system
that forgets what was not synced.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from liftwerk.errors import StoreFault
from liftwerk.store.flock import exclusive

PRAGMAS = (
    "pragma busy_timeout=30000",
    "pragma journal_mode=wal",
    "pragma synchronous=full",  # acknowledged means fsynced; NORMAL loses acknowledged commits
    "pragma secure_delete=on",  # an erased value is overwritten, not only unlinked
    "pragma wal_autocheckpoint=1000",
)
"""What every connection is set to."""

PATIENCE_SECONDS = 30.0
"""How long one waits for another process that writes."""

LOOK_SECONDS = 0.001

_CREATED = re.compile(r"create (?:table|index) if not exists (\w+)")

_FAULTS = {
    sqlite3.SQLITE_FULL: (
        "the disk is full",
        "free some space and run it again; nothing was half written",
    ),
    sqlite3.SQLITE_CORRUPT: ("damaged database", "restore the home from a backup"),
    sqlite3.SQLITE_NOTADB: ("not a database", "restore the home from a backup"),
    sqlite3.SQLITE_BUSY: ("locked for over 30 s", "wait for the other process or stop it"),
    sqlite3.SQLITE_LOCKED: ("locked for over 30 s", "wait for the other process or stop it"),
    sqlite3.SQLITE_READONLY: ("cannot be written", "check the permissions of the home"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check that the home exists and is writable"),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "check the disk, then `liftwerk doctor`"),
}


class Cursor(Protocol):
    """Rows of one statement."""

    def fetchall(self) -> list[Any]:
        """Return every row that is left."""
        ...


class Connection(Protocol):
    """What a store needs of a connection; ``sqlite3`` and ``apsw`` both have it."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement for many rows."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


Connect = Callable[[Path], Connection]


def connect_sqlite(path: Path) -> Connection:
    """Open a file with the standard library; transactions are begun by us alone."""
    # Closing at the end may come from another thread than the one that used it.
    return sqlite3.connect(
        path, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
    )


class Database:
    """One file, one connection a thread, transactions that are whole or not there.

    Parameters
    ----------
    path : Path
        The file; created when missing (its folder must exist).
    schema : sequence of str
        Statements that create the tables, each safe to run again.
    connect : callable, optional
        Makes a connection from a path.

    Raises
    ------
    StoreFault
        If the file is damaged, locked, or not writable.
    """

    def __init__(
        self, path: Path, schema: Sequence[str], connect: Connect = connect_sqlite
    ) -> None:
        self.path = path
        self._connect = connect
        self._mine = threading.local()
        self._open: list[tuple[weakref.ref[threading.Thread], Connection]] = []
        self._guard = threading.Lock()
        # Two processes that turn a new file to WAL at once get "locked" without any waiting.
        with _folder_in_one_line(path), self._one_line(), exclusive(path.parent):
            known = {
                name
                for (name,) in self._connection()
                .execute("select name from sqlite_schema")
                .fetchall()
            }
            # A file of an earlier liftwerk may lack what came since.
            if not known.issuperset(_CREATED.findall(" ".join(schema))):
                with self._begun() as connection:
                    for statement in schema:
                        connection.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin, yield the connection, commit; anything raised rolls everything back."""
        with self._one_line(), self._begun() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Yield the connection for reading: all its statements see the file as of the first."""
        with self._one_line():
            connection = self._connection()
            connection.execute("begin")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one reading statement and return its rows."""
        with self._one_line():
            return self._connection().execute(sql, parameters).fetchall()

    def erase(self, deletions: Sequence[str], keys: Iterable[Any]) -> int:
        """Delete by keys so that no file holds the bytes any more; returns how many rows went.

        Parameters
        ----------
        deletions : sequence of str
            ``delete`` statements with one placeholder, each run for every key.
        keys : iterable
        """
        parameters = [(key,) for key in keys]
        with self.transaction() as connection:
            before: int = connection.execute("select total_changes()").fetchall()[0][0]
            for deletion in deletions:
                connection.executemany(deletion, parameters)
            after: int = connection.execute("select total_changes()").fetchall()[0][0]
        # Even when nothing was there: rows dropped earlier may still stand in the log.
        self.scrub()
        return after - before

    def scrub(self) -> None:
        """Empty the write-ahead log, which still holds pages as they were before an erasure.

        Raises
        ------
        StoreFault
            If a reader kept the old pages for over 30 s.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._one_line():
            connection = self._connection()
            connection.execute("pragma busy_timeout=0").fetchall()
            try:
                while connection.execute("pragma wal_checkpoint(truncate)").fetchall()[0][0]:
                    if time.monotonic() > deadline:
                        hint = "stop it and erase again"
                        raise StoreFault("a reader keeps erased pages", str(self.path), hint)
                    # As in `_take_turn`: others read and write all the time.
                    time.sleep(LOOK_SECONDS)
            finally:
                connection.execute(f"pragma busy_timeout={PATIENCE_SECONDS * 1000:.0f}").fetchall()

    def tables(self) -> list[str]:
        """Return the names of the tables in the file, in order."""
        sql = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
        return sorted(name for (name,) in self.rows(sql))

    def damage(self) -> list[str]:
        """Check every page; returns what is wrong, nothing when it is whole."""
        try:
            found = [line for (line,) in self.rows("pragma integrity_check(10)")]
        except StoreFault as fault:
            found = [fault.what]
        return [f"{self.path}: {line}" for line in found if line != "ok"]

    def close(self) -> None:
        """Close the connections of every thread."""
        with self._guard:
            for _, connection in self._open:
                connection.close()
            self._open.clear()
            self._mine = threading.local()

    def _connection(self) -> Connection:
        # A connection must not cross a fork: the child would share locks it doesn't know of.
        if getattr(self._mine, "pid", None) == os.getpid():
            mine: Connection = self._mine.connection
            return mine
        connection = self._connect(self.path)
        try:
            for pragma in PRAGMAS:
                connection.execute(pragma).fetchall()
        except BaseException:
            connection.close()
            raise
        with self._guard:
            self._forget_dead_threads()
            self._open.append((weakref.ref(threading.current_thread()), connection))
        self._mine.connection = connection
        self._mine.pid = os.getpid()
        return connection

    def _forget_dead_threads(self) -> None:
        kept = []
        for thread, connection in self._open:
            alive = thread()
            if alive is not None and alive.is_alive():
                kept.append((thread, connection))
            else:
                connection.close()
        self._open = kept

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        connection = self._connection()
        _take_turn(connection)
        try:
            yield connection
            connection.execute("commit")
        except BaseException:
            # A full disk has already rolled back by itself.
            if connection.in_transaction:
                connection.execute("rollback")
            raise

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code not in _FAULTS:
                raise  # a mistake of ours, not of the machine
            what, hint = _FAULTS[code]
            raise StoreFault(what, str(self.path), hint) from error


def _take_turn(connection: Connection) -> None:
    """Begin to write as soon as whoever writes now is through.

    SQLite's own waiting sleeps up to 100 ms between two looks: a busy neighbour then writes many
    times before it is our turn.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    connection.execute("pragma busy_timeout=0").fetchall()
    try:
        while True:
            try:
                connection.execute("begin immediate")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(LOOK_SECONDS)
    finally:
        connection.execute(f"pragma busy_timeout={PATIENCE_SECONDS * 1000:.0f}").fetchall()


@contextmanager
def _folder_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        code = sqlite3.SQLITE_CANTOPEN
        if isinstance(error, TimeoutError):
            code = sqlite3.SQLITE_BUSY
        what, hint = _FAULTS[code]
        raise StoreFault(what, str(path), hint) from error
