"""Online values in one SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from liftwerk.faults import fault
from liftwerk.store.instants import to_microseconds
from liftwerk.store.online.protocol import Changes, Progress, Row, Space, fit
from liftwerk.store.sqlite import Connect, Connection, Database, connect_sqlite

SCHEMA = (
    # One row: the last revision that was given to any space.
    "create table if not exists head (one integer primary key check (one = 1), last integer)",
    "insert or ignore into head values (1, 0)",
    """create table if not exists spaces (
        id integer primary key, name text not null unique, "offset" integer not null,
        at integer not null, revision integer not null
    ) strict""",
    # With a rowid: bodies of some kilobytes don't belong into the tree that is searched by key.
    """create table if not exists online (
        space integer not null, key blob not null, body blob not null, primary key (space, key)
    ) strict""",
)

MOST = 512
"""Keys that one statement asks for at most."""

_NEXT = "update head set last = last + 1 returning last"
_PUT = (
    "insert into online values (?, ?, ?)"
    " on conflict (space, key) do update set body = excluded.body"
)
_THEIRS = "where space in (select id from spaces) and key = ?"
_PROGRESS = '"offset", at, revision'


def _asking(many: int) -> str:
    """Ask for so many keys and the progress, in one statement: that is one state of the file."""
    places = ", ".join("?" * many)
    return (
        'select s."offset", s.at, s.revision, o.key, o.body from spaces as s'
        f" left join online as o on o.space = s.id and o.key in ({places}) where s.name = ?"
    )


# A few sizes only, so that each thread's connection has them all prepared.
_GET = {size: _asking(size) for size in (1, 2, 4, 8, 16, 32, 64, 128, 256, MOST)}


class SqliteOnline:
    """Keeps the promises of `liftwerk.store.online.Online` in one file."""

    def __init__(self, path: Path, connect: Connect = connect_sqlite) -> None:
        self.database = Database(path, SCHEMA, connect)

    def apply(self, changes: Mapping[str, Changes], offset: int, at: datetime) -> Progress:
        """Change some spaces, and move them all to one offset, in one durable transaction."""
        moment = to_microseconds(at)
        with fault("online_commit"), self.database.transaction() as connection:
            [(revision,)] = connection.execute(_NEXT).fetchall()
            for space, wanted in changes.items():
                number = _moved(connection, space, wanted, (offset, moment, revision))
                if wanted.clear:
                    connection.execute("delete from online where space = ?", (number,))
                drops = ((number, key) for key in wanted.drops)
                connection.executemany("delete from online where space = ? and key = ?", drops)
                puts = ((number, fit(key), body) for key, body in wanted.puts)
                connection.executemany(_PUT, puts)
        return Progress.of((offset, moment, revision))

    def get(self, space: str, keys: Sequence[bytes]) -> tuple[list[bytes | None], Progress | None]:
        """Return the bodies of some keys, and how far they have come, as of one moment."""
        if len(keys) > MOST:
            with self.reading() as reading:
                return reading.get(space, keys)
        return _get(self.database.rows, space, keys)

    @contextmanager
    def reading(self) -> Iterator[SqliteReading]:
        """Read several times as of one moment, each for what the last one told."""
        with self.database.snapshot() as connection:
            yield SqliteReading(connection)

    def progress(self, space: str) -> Progress | None:
        """Return how far a space has come; None where there is none."""
        sql = f"select {_PROGRESS} from spaces where name = ?"
        for row in self.database.rows(sql, (space,)):
            return Progress.of(row)
        return None

    def names(self) -> list[str]:
        """Return the names of all spaces, in order; counts nothing."""
        return [name for (name,) in self.database.rows("select name from spaces order by name")]

    def spaces(self) -> list[Space]:
        """Return every space, by name; counts all rows."""
        sql = (
            f"select name, {_PROGRESS}, (select count(*) from online where space = spaces.id)"
            " from spaces order by name"
        )
        return [Space(name, Progress.of(row), many) for name, *row, many in self.database.rows(sql)]

    def rows(self, space: str, after: bytes = b"", limit: int = 1000) -> list[Row]:
        """Return rows behind a key, in the order of the keys' bytes."""
        sql = (
            "select key, body from online where space = (select id from spaces where name = ?)"
            " and key > ? order by key limit ?"
        )
        return [Row(space, *row) for row in self.database.rows(sql, (space, after, limit))]

    def about(self, keys: Iterable[bytes]) -> list[Row]:
        """Return the rows of some keys in every space, by space and key."""
        sql = (
            f"select name, key, body from online join spaces on spaces.id = online.space {_THEIRS}"
        )
        return sorted(Row(*row) for key in set(keys) for row in self.database.rows(sql, (key,)))

    def drop(self, space: str) -> int:
        """Forget a space; returns how many rows went with it."""
        with self.database.transaction() as connection:
            sql = "delete from online where space = (select id from spaces where name = ?)"
            connection.execute(sql, (space,))
            [(gone,)] = connection.execute("select changes()").fetchall()
            connection.execute("delete from spaces where name = ?", (space,))
        return int(gone)

    def erase(self, keys: Iterable[bytes]) -> int:
        """Drop the rows of some keys from every space, so that no file holds their bytes."""
        with self.database.transaction() as connection:
            [(revision,)] = connection.execute(_NEXT).fetchall()
            connection.execute("update spaces set revision = ?", (revision,))
            [(before,)] = connection.execute("select total_changes()").fetchall()
            parameters = [(key,) for key in keys]
            connection.executemany(f"delete from online {_THEIRS}", parameters)
            [(after,)] = connection.execute("select total_changes()").fetchall()
        # Even when nothing was there: rows dropped earlier may still stand in the log.
        self.scrub()
        return int(after - before)

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        found = self.database.damage()
        if not found:
            sql = "select count(*) from online where space not in (select id from spaces)"
            [(lost,)] = self.database.rows(sql)
            if lost:
                found.append(f"{self.database.path}: {lost} rows of no space")
        return found

    def scrub(self) -> None:
        """Remove erased values from the files beside the tables."""
        self.database.scrub()

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


class SqliteReading:
    """Keeps the promises of `liftwerk.store.online.Reading` inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, space: str, keys: Sequence[bytes]) -> tuple[list[bytes | None], Progress | None]:
        """Return the bodies of some keys, and how far they have come."""
        return _get(self._rows, space, keys)

    def _rows(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        return self._connection.execute(sql, parameters).fetchall()


def _get(
    ask: Callable[[str, Sequence[Any]], list[Any]], space: str, keys: Sequence[bytes]
) -> tuple[list[bytes | None], Progress | None]:
    found: dict[bytes, bytes] = {}
    rows: list[Any] = []
    for start in range(0, max(len(keys), 1), MOST):
        part = [*keys[start : start + MOST]]
        size = 1
        while size < len(part):
            size *= 2
        # Nothing has the empty key, and a key that is asked for twice is found once.
        part += [b""] * (size - len(part))
        rows = ask(_GET[size], (*part, space))
        for row in rows:
            found[row[3]] = row[4]
    if not rows:
        return [None] * len(keys), None
    return [found.get(key) for key in keys], Progress.of(rows[0][:3])


def _moved(connection: Connection, space: str, wanted: Changes, to: tuple[int, int, int]) -> int:
    """Move a space on, or begin it, if it stands where it was expected; returns its number."""
    rows = connection.execute("select id, revision from spaces where name = ?", (space,)).fetchall()
    if rows:
        [(number, revision)] = rows
        wanted.follows(space, revision)
        sql = 'update spaces set "offset" = ?, at = ?, revision = ? where id = ?'
        connection.execute(sql, (*to, number))
        return int(number)
    wanted.follows(space, None)
    sql = f"insert into spaces (name, {_PROGRESS}) values (?, ?, ?, ?) returning id"
    [(number,)] = connection.execute(sql, (space, *to)).fetchall()
    return int(number)
