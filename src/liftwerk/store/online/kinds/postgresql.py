"""Online values in a PostgreSQL database, for several machines that serve them.

Writers follow each other by the lock of the one row of ``online_head``, which also numbers the
revisions; readers wait for nobody. Bodies travel by COPY only, never as parameters of a statement:
slow statements are logged by many servers, and their parameters with them.

Erasure. A deleted row stays in its page until something else is written there, so that what is left
has to be written anew. The rows are therefore parted by their key: only the parts of the keys that
are erased are rewritten, and only they are waited for. What the server keeps beside the tables is
out of reach, see ``docs/operations.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from liftwerk.faults import fault
from liftwerk.store.instants import to_microseconds
from liftwerk.store.online.protocol import Changes, Progress, Row, Space, fit
from liftwerk.store.postgresql import Connect, Connection, Server, connect_postgresql

PARTS = 16
"""How many tables the rows are parted into."""

_PART_NAMES = tuple(f"liftwerk.online_{number:02}" for number in range(PARTS))

SCHEMA = (
    "create schema if not exists liftwerk",
    # One row; its lock is what puts the writers in line.
    """create table if not exists liftwerk.online_head (
        last bigint not null, one boolean primary key default true check (one)
    )""",
    "insert into liftwerk.online_head (last) values (0) on conflict do nothing",
    """create table if not exists liftwerk.online_spaces (
        id bigint generated always as identity primary key, name text not null unique,
        "offset" bigint not null, at bigint not null, revision bigint not null
    )""",
    """create table if not exists liftwerk.online (
        space bigint not null, key bytea not null, body bytea not null, primary key (space, key)
    ) partition by hash (key)""",
    *(
        f"create table if not exists {name} partition of liftwerk.online"
        f" for values with (modulus {PARTS}, remainder {number})"
        for number, name in enumerate(_PART_NAMES)
    ),
    # ANALYZE keeps sample values, which no deletion takes away.
    "alter table liftwerk.online alter key set statistics 0, alter body set statistics 0",
)

_NEXT = "update liftwerk.online_head set last = last + 1 returning last"
_PROGRESS = '"offset", at, revision'
_GET = (
    'select s."offset", s.at, s.revision, o.key, o.body from liftwerk.online_spaces as s'
    " left join liftwerk.online as o on o.space = s.id and o.key = any(%s) where s.name = %s"
)
_THEIRS = "where space in (select id from liftwerk.online_spaces) and key = any(%s)"
_PARTS_OF = (
    "select distinct remainder from unnest(%s::bytea[]) as key,"
    f" generate_series(0, {PARTS - 1}) as remainder"
    f" where satisfies_hash_partition('liftwerk.online'::regclass, {PARTS}, remainder, key)"
    " order by remainder"
)
_STAGE = (
    "create temp table if not exists online_new"
    " (number bigint, space bigint, key bytea, body bytea) on commit delete rows"
)
_COPY = "copy pg_temp.online_new (number, space, key, body) from stdin (format binary)"
_PUT = (
    "insert into liftwerk.online (space, key, body)"
    " select distinct on (space, key) space, key, body from pg_temp.online_new"
    " order by space, key, number desc"
    " on conflict (space, key) do update set body = excluded.body"
)


class PostgresqlOnline:
    """Keeps the promises of `liftwerk.store.online.Online` on a server, but for one.

    After `erase` no file *of the tables* holds the bytes any more; of the server's log, its
    archive, standbys and backups nothing is promised.

    Parameters
    ----------
    url : str
        ``postgresql://…``; one database for one project.
    connect : callable, optional
        Makes a connection from a URL.

    Raises
    ------
    StoreFault
        If the server can't be reached, or doesn't force what it commits to the disk.
    """

    def __init__(self, url: str, connect: Connect = connect_postgresql) -> None:
        self.server = Server(url, SCHEMA, _PART_NAMES[-1], connect)

    def apply(self, changes: Mapping[str, Changes], offset: int, at: datetime) -> Progress:
        """Change some spaces, and move them all to one offset, in one durable transaction.

        Raises
        ------
        StoreFault
            If nothing was written, or if the connection broke so that nobody can know: the next
            changes get a `Conflict` if it was.
        """
        moment = to_microseconds(at)
        with fault("online_commit"), self.server.transaction() as connection:
            [(revision,)] = connection.execute(_NEXT).fetchall()
            numbers = {
                space: _moved(connection, space, wanted, (offset, moment, revision))
                for space, wanted in changes.items()
            }
            for space, wanted in changes.items():
                if wanted.clear:
                    sql = "delete from liftwerk.online where space = %s"
                    connection.execute(sql, (numbers[space],))
                sql = "delete from liftwerk.online where space = %s and key = any(%s)"
                connection.execute(sql, (numbers[space], list(wanted.drops)))
            connection.execute(_STAGE)
            with connection.cursor().copy(_COPY) as copy:
                copy.set_types(("int8", "int8", "bytea", "bytea"))
                for space, wanted in changes.items():
                    for place, (key, body) in enumerate(wanted.puts):
                        copy.write_row((place, numbers[space], fit(key), body))
            connection.execute(_PUT)
        return Progress.of((offset, moment, revision))

    def get(self, space: str, keys: Sequence[bytes]) -> tuple[list[bytes | None], Progress | None]:
        """Return the bodies of some keys, and how far they have come, as of one moment."""
        return _get(self.server.rows, space, keys)

    @contextmanager
    def reading(self) -> Iterator[PostgresqlReading]:
        """Read several times as of one moment, each for what the last one told."""
        with self.server.snapshot("liftwerk.online_spaces, liftwerk.online") as connection:
            yield PostgresqlReading(connection)

    def progress(self, space: str) -> Progress | None:
        """Return how far a space has come; None where there is none."""
        sql = f"select {_PROGRESS} from liftwerk.online_spaces where name = %s"
        for row in self.server.rows(sql, (space,)):
            return Progress.of(row)
        return None

    def names(self) -> list[str]:
        """Return the names of all spaces, in order; counts nothing."""
        sql = 'select name from liftwerk.online_spaces order by name collate "C"'
        return [name for (name,) in self.server.rows(sql)]

    def spaces(self) -> list[Space]:
        """Return every space, by name; counts all rows."""
        sql = (
            f"select name, {_PROGRESS}, coalesce(many, 0) from liftwerk.online_spaces left join"
            " (select space, count(*) as many from liftwerk.online group by space) as counts"
            ' on space = id order by name collate "C"'
        )
        return [Space(name, Progress.of(row), many) for name, *row, many in self.server.rows(sql)]

    def rows(self, space: str, after: bytes = b"", limit: int = 1000) -> list[Row]:
        """Return rows behind a key, in the order of the keys' bytes."""
        sql = (
            "select key, body from liftwerk.online"
            " where space = (select id from liftwerk.online_spaces where name = %s)"
            " and key > %s order by key limit %s"
        )
        return [Row(space, *row) for row in self.server.rows(sql, (space, after, limit))]

    def about(self, keys: Iterable[bytes]) -> list[Row]:
        """Return the rows of some keys in every space, by space and key."""
        sql = (
            "select name, key, body from liftwerk.online"
            f" join liftwerk.online_spaces on id = space {_THEIRS}"
        )
        return sorted(Row(*row) for row in self.server.rows(sql, (list(keys),)))

    def drop(self, space: str) -> int:
        """Forget a space; returns how many rows went with it."""
        with self.server.transaction() as connection:
            connection.execute(_NEXT)
            sql = "delete from liftwerk.online_spaces where name = %s returning id"
            numbers = [number for (number,) in connection.execute(sql, (space,))]
            sql = "delete from liftwerk.online where space = any(%s)"
            return connection.execute(sql, (numbers,)).rowcount

    def erase(self, keys: Iterable[bytes]) -> int:
        """Drop the rows of some keys from every space, so that no file of the tables holds them."""
        theirs = list(keys)
        with self.server.transaction() as connection:
            [(revision,)] = connection.execute(_NEXT).fetchall()
            sql = "update liftwerk.online_spaces set revision = %s"
            connection.execute(sql, (revision,))
            gone = connection.execute(f"delete from liftwerk.online {_THEIRS}", (theirs,)).rowcount
        # Even when nothing was there: rows dropped earlier may still stand in the pages.
        for (number,) in self.server.rows(_PARTS_OF, (theirs,)):
            self.server.rewrite(_PART_NAMES[number])
        return gone

    def damage(self) -> list[str]:
        """Read every row through, and let ``amcheck`` look where the role may use it."""
        found = [line for name in _PART_NAMES for line in self.server.damage(name)]
        if not found:
            sql = (
                "select count(*) from liftwerk.online"
                " where space not in (select id from liftwerk.online_spaces)"
            )
            [(lost,)] = self.server.rows(sql)
            if lost:
                found.append(f"{self.server.where}: liftwerk.online: {lost} rows of no space")
        return found

    def scrub(self) -> None:
        """Do nothing: `erase` has rewritten the parts of its keys, and nothing lies beside them."""

    def close(self) -> None:
        """Close the connections."""
        self.server.close()


class PostgresqlReading:
    """Keeps the promises of `liftwerk.store.online.Reading` inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, space: str, keys: Sequence[bytes]) -> tuple[list[bytes | None], Progress | None]:
        """Return the bodies of some keys, and how far they have come."""
        return _get(self._rows, space, keys)

    def _rows(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        return self._connection.execute(sql, parameters, binary=True).fetchall()


def _get(
    ask: Callable[[str, Sequence[Any]], list[Any]], space: str, keys: Sequence[bytes]
) -> tuple[list[bytes | None], Progress | None]:
    rows = ask(_GET, (list(keys), space))
    if not rows:
        return [None] * len(keys), None
    found = {row[3]: row[4] for row in rows}
    return [found.get(key) for key in keys], Progress.of(rows[0][:3])


def _moved(connection: Connection, space: str, wanted: Changes, to: tuple[int, int, int]) -> int:
    """Move a space on, or begin it, if it stands where it was expected; returns its number."""
    sql = "select id, revision from liftwerk.online_spaces where name = %s"
    rows = connection.execute(sql, (space,)).fetchall()
    if rows:
        [(number, revision)] = rows
        wanted.follows(space, revision)
        sql = (
            'update liftwerk.online_spaces set "offset" = %s, at = %s, revision = %s where id = %s'
        )
        connection.execute(sql, (*to, number))
        return int(number)
    wanted.follows(space, None)
    sql = (
        f"insert into liftwerk.online_spaces (name, {_PROGRESS})"
        " values (%s, %s, %s, %s) returning id"
    )
    [(number,)] = connection.execute(sql, (space, *to)).fetchall()
    return int(number)
