"""The inbox in a PostgreSQL database: several machines append, one sequencer reads.

Offsets. A writer takes the next offsets by updating the one row of ``inbox_head``, and holds that
row's lock until its commit. So offsets are committed in the order in which they were taken, a
transaction that fails gives its own back, and a snapshot that sees an offset sees every one before
it: a reader may simply ask for what lies behind the last. Two other ways were weighed:

- A sequence, with ``xid8`` beside each row and readers that stop at ``pg_snapshot_xmin``: writers
  wait for nobody, but the order must then be (transaction, offset), any long transaction in the
  whole cluster holds the readers up, and offsets of one batch need not be in a row.
- Rows copied to a temporary table first, and the lock taken for one statement at the end: nothing
  of the network happens under the lock, but a row is written twice (30,000 rows/s instead of 59,000
  in batches of 500 on two busy cores, most of it for emptying the temporary table).

Under the lock stand the copying of rows that are already in memory and one flush of the server's
log, some 7 ms for 500 rows; a group commit on our side makes it few locks for many requests. A
writer that hangs there is ended by the server: see ``liftwerk.store.postgresql``.

Values travel by COPY only, never as parameters of a statement: slow statements are logged by many
servers, and their parameters with them.

Erasure. A deleted row stays in its page until something else is written there, and ``VACUUM`` does
not overwrite it either. `PostgresqlInbox.erase` therefore writes what is left into a new file and
gives the old one back. It can't reach what the server keeps beside the tables: its write-ahead log
until the segments are used again, archives of that log, standbys, and backups. How long these live
is the operator's to limit; ``docs/operations.md`` says how.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow

from liftwerk.errors import StoreFault
from liftwerk.faults import fault
from liftwerk.store.inbox.protocol import InboxRow, Quarantined, QuarantineGroup, Rejected
from liftwerk.store.inbox.rows import table_of
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.postgresql import Connect, Connection, Server, connect_postgresql

SCHEMA = (
    "create schema if not exists liftwerk",
    # One row; its lock is what puts the writers in line.
    """create table if not exists liftwerk.inbox_head (
        last bigint not null, one boolean primary key default true check (one)
    )""",
    "insert into liftwerk.inbox_head (last) values (0) on conflict do nothing",
    """create table if not exists liftwerk.inbox (
        "offset" bigint primary key,
        event_id bytea not null check (octet_length(event_id) = 16),
        name text not null, received bigint not null, body bytea not null
    )""",
    """create table if not exists liftwerk.quarantine (
        number bigint generated always as identity primary key, key bytea not null unique,
        source text not null, received bigint not null, reason text not null,
        detail text not null, body bytea not null
    )""",
    # ANALYZE keeps sample values, which no deletion takes away.
    "alter table liftwerk.inbox alter event_id set statistics 0, alter body set statistics 0",
    """alter table liftwerk.quarantine alter key set statistics 0,
        alter detail set statistics 0, alter body set statistics 0""",
)

INBOX = "liftwerk.inbox"
QUARANTINE = "liftwerk.quarantine"

REWRITE_MAX = 1_000_000_000
"""Bytes of bodies that an erasure rewrites at most; appends wait meanwhile, and give up at 30 s."""

ID_LENGTH = 16

_BEYOND = 'select count(*) from liftwerk.inbox join liftwerk.inbox_head on "offset" > last'


class PostgresqlInbox:
    """Keeps the promises of `liftwerk.store.inbox.Inbox` on a server, but for one.

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
        self.server = Server(url, SCHEMA, QUARANTINE, connect)

    def append(self, rows: Sequence[InboxRow | tuple[bytes, str, int, bytes]]) -> range:
        """Add rows in one durable transaction; returns their offsets, in the rows' order.

        Raises
        ------
        StoreFault
            If they were not stored, or if the connection broke so that nobody can know: append
            them again, the sequencer keeps each id once.
        """
        with fault("inbox_append"), self.server.transaction() as connection:
            sql = "update liftwerk.inbox_head set last = last + %s returning last"
            [(last,)] = connection.execute(sql, (len(rows),)).fetchall()
            offsets = range(last - len(rows) + 1, last + 1)
            _copy(connection, ((at, *row) for at, row in zip(offsets, rows, strict=True)))
        return offsets

    def read(self, after: int, limit: int) -> pyarrow.Table:
        """Return rows behind an offset, in order."""
        sql = (
            'select "offset", event_id, name, received, body from liftwerk.inbox'
            ' where "offset" > %s order by "offset" limit %s'
        )
        return table_of(self.server.rows(sql, (after, limit)))

    def last_offset(self) -> int:
        """Return the last offset given out, 0 before the first."""
        [(last,)] = self.server.rows("select last from liftwerk.inbox_head")
        return int(last)

    def count(self) -> int:
        """Return how many rows are kept."""
        [(count,)] = self.server.rows("select count(*) from liftwerk.inbox")
        return int(count)

    def trim(self, up_to: int, received_before_us: int) -> int:
        """Drop rows at or below an offset that were received before an instant."""
        with fault("inbox_trim"), self.server.transaction() as connection:
            sql = 'delete from liftwerk.inbox where "offset" <= %s and received < %s'
            return connection.execute(sql, (up_to, received_before_us)).rowcount

    def erase(self, offsets: Iterable[int]) -> int:
        """Drop rows so that no file of the tables holds their bytes; returns how many.

        Raises
        ------
        StoreFault
            If more is waiting in the inbox than can be rewritten while others append.
        """
        with self.server.transaction() as connection:
            sql = 'delete from liftwerk.inbox where "offset" = any(%s)'
            gone = connection.execute(sql, (list(offsets),)).rowcount
        # Even when nothing was there: rows trimmed earlier may still stand in the pages.
        self._rewrite_inbox()
        return gone

    def replace(self, bodies: Mapping[int, bytes]) -> int:
        """Put other bodies in the place of rows'; returns how many.

        Raises
        ------
        StoreFault
            If more is waiting in the inbox than can be rewritten while others append.
        """
        with self.server.transaction() as connection:
            sql = (
                'delete from liftwerk.inbox where "offset" = any(%s)'
                ' returning "offset", event_id, name, received'
            )
            rows = connection.execute(sql, (list(bodies),)).fetchall()
            _copy(connection, ((*row, bodies[row[0]]) for row in rows))
        self._rewrite_inbox()
        return len(rows)

    def quarantine_put(self, rejected: Sequence[Rejected]) -> int:
        """Keep rejected events, each once; returns how many were new."""
        by_key = {one.key: one for one in rejected}
        with self.server.transaction() as connection:
            # Readers go on; numbers are committed in order, and no key comes twice.
            connection.execute("lock table liftwerk.quarantine in share row exclusive mode")
            sql = "select key from liftwerk.quarantine where key = any(%s)"
            known = {key for (key,) in connection.execute(sql, (list(by_key),), binary=True)}
            new = [(key, one) for key, one in by_key.items() if key not in known]
            sql = (
                "copy liftwerk.quarantine (key, source, received, reason, detail, body)"
                " from stdin (format binary)"
            )
            with connection.cursor().copy(sql) as copy:
                copy.set_types(("bytea", "text", "int8", "text", "text", "bytea"))
                for key, one in new:
                    texts = [_storable(text) for text in (one.source, one.reason, one.detail)]
                    source, reason, detail = texts
                    received = to_microseconds(one.received)
                    copy.write_row((key, source, received, reason, detail, one.body))
        return len(new)

    def quarantine_list(self, after: int = 0, limit: int = 1000) -> list[Quarantined]:
        """Return quarantined events behind a number, in order."""
        sql = (
            "select number, source, received, reason, detail, body from liftwerk.quarantine"
            " where number > %s order by number limit %s"
        )
        found = []
        for number, source, received, reason, detail, body in self.server.rows(sql, (after, limit)):
            at = from_microseconds(received)
            found.append(Quarantined(number, Rejected(source, at, reason, detail, body)))
        return found

    def quarantine_count(self) -> dict[str, int]:
        """Return reason -> how many."""
        sql = (
            "select reason, count(*) from liftwerk.quarantine"
            ' group by reason order by reason collate "C"'
        )
        return {str(reason): int(count) for reason, count in self.server.rows(sql)}

    def quarantine_groups(self, examples: int) -> list[QuarantineGroup]:
        """Return a group for each reason and source, in this order, without reading a body."""
        sql = (
            "select reason, source, count(*), min(received), max(received),"
            " (array_agg(number order by number))[1:%s] from liftwerk.quarantine"
            ' group by reason, source order by reason collate "C", source collate "C"'
        )
        found = []
        for reason, source, count, first, last, numbers in self.server.rows(sql, (examples,)):
            times = (from_microseconds(first), from_microseconds(last))
            found.append(QuarantineGroup(reason, source, count, *times, tuple(numbers)))
        return found

    def quarantine_erase(self, numbers: Iterable[int]) -> int:
        """Drop quarantined events so that no file of the tables holds their bytes any more."""
        with self.server.transaction() as connection:
            sql = "delete from liftwerk.quarantine where number = any(%s)"
            gone = connection.execute(sql, (list(numbers),)).rowcount
        self.server.rewrite(QUARANTINE)
        return gone

    def damage(self) -> list[str]:
        """Read every row through, and let ``amcheck`` look where the role may use it."""
        found = self.server.damage(INBOX) + self.server.damage(QUARANTINE)
        if not found:
            [(many,)] = self.server.rows(_BEYOND)
            if many > 0:
                beyond = f"{many} rows beyond the last offset that was given out"
                found.append(f"{self.server.where}: {INBOX}: {beyond}")
        return found

    def scrub(self) -> None:
        """Write both tables anew, so that no page of theirs holds what was deleted."""
        self._rewrite_inbox()
        self.server.rewrite(QUARANTINE)

    def close(self) -> None:
        """Close the connections."""
        self.server.close()

    def _rewrite_inbox(self) -> None:
        [(waiting,)] = self.server.rows(
            "select coalesce(sum(octet_length(body)), 0)::bigint from liftwerk.inbox"
        )
        if waiting > REWRITE_MAX:
            what = f"{waiting / 1e9:.1f} GB wait in the inbox, too much to be rewritten"
            hint = "`liftwerk run` empties it; then erase again"
            raise StoreFault(what, self.server.where, hint)
        self.server.rewrite(INBOX)


def _copy(connection: Connection, rows: Iterable[tuple[int, bytes, str, int, bytes]]) -> None:
    """Put rows into the inbox, each at its offset."""
    sql = (
        'copy liftwerk.inbox ("offset", event_id, name, received, body) from stdin (format binary)'
    )
    with connection.cursor().copy(sql) as copy:
        copy.set_types(("int8", "bytea", "text", "int8", "bytea"))
        for row in rows:
            # Checked here too: the server's own complaint would quote the row.
            if len(row[1]) != ID_LENGTH:
                raise ValueError(f"an event id has {ID_LENGTH} bytes")
            copy.write_row(row)


def _storable(text: str) -> str:
    """Return a text without NUL, the one character that PostgreSQL's can't hold."""
    return text.replace("\x00", "\ufffd")
