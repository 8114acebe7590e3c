"""The inbox in one SQLite file: append only, no index on the random ids."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow

from liftwerk.faults import fault
from liftwerk.store.inbox.protocol import InboxRow, Quarantined, QuarantineGroup, Rejected
from liftwerk.store.inbox.rows import table_of
from liftwerk.store.instants import from_microseconds, to_microseconds
from liftwerk.store.sqlite import LOOK_SECONDS, Connect, Database, connect_sqlite

SCHEMA = (
    # autoincrement: an offset is never given twice, not even after a trim has emptied the table.
    """create table if not exists inbox (
        "offset" integer primary key autoincrement,
        event_id blob not null check (length(event_id) = 16),
        name text not null, received integer not null, body blob not null
    ) strict""",
    """create table if not exists quarantine (
        number integer primary key autoincrement, key blob not null unique, source text not null,
        received integer not null, reason text not null, detail text not null, body blob not null
    ) strict""",
)

READ_ROWS = 5_000
"""Most rows that are held as Python's objects while they become columns."""

TRIM_ROWS = 5_000
"""Most rows that are dropped in one transaction."""

GIVE_WAY_SECONDS = 2 * LOOK_SECONDS

_READ = 'select "offset", event_id, name, received, body from inbox'

_GROUPS = """
    select reason, source, count(*), min(received), max(received),
        json_group_array(number) filter (where place <= ?)
    from (
        select number, reason, source, received,
            row_number() over (partition by reason, source order by number) as place
        from quarantine
    )
    group by reason, source order by reason, source
"""


class SqliteInbox:
    """Keeps the promises of `liftwerk.store.inbox.Inbox` in one file."""

    def __init__(self, path: Path, connect: Connect = connect_sqlite) -> None:
        self.database = Database(path, SCHEMA, connect)

    def append(self, rows: Sequence[InboxRow | tuple[bytes, str, int, bytes]]) -> range:
        """Add rows in one durable transaction; returns their offsets, in the rows' order."""
        with fault("inbox_append"), self.database.transaction() as connection:
            sql = "insert into inbox (event_id, name, received, body) values (?, ?, ?, ?)"
            connection.executemany(sql, rows)
            # Nobody else writes inside our transaction: the offsets are the last ones, in a row.
            sql = "select seq from sqlite_sequence where name = 'inbox'"
            last = max((seq for (seq,) in connection.execute(sql).fetchall()), default=0)
        return range(last - len(rows) + 1, last + 1)

    def read(self, after: int, limit: int) -> pyarrow.Table:
        """Return rows behind an offset, in order."""
        sql = f'{_READ} where "offset" > ? order by "offset" limit ?'
        parts = [table_of([])]
        while limit > 0:
            rows = self.database.rows(sql, (after, min(limit, READ_ROWS)))
            if not rows:
                break
            after, limit = rows[-1][0], limit - len(rows)
            parts.append(table_of(rows))
        return pyarrow.concat_tables(parts)

    def last_offset(self) -> int:
        """Return the last offset given out, 0 before the first."""
        rows = self.database.rows("select seq from sqlite_sequence where name = 'inbox'")
        return max((seq for (seq,) in rows), default=0)

    def count(self) -> int:
        """Return how many rows are kept."""
        count: int = self.database.rows("select count(*) from inbox")[0][0]
        return count

    def trim(self, up_to: int, received_before_us: int) -> int:
        """Drop rows at or below an offset that were received before an instant."""
        gone = 0
        with fault("inbox_trim"):
            first = self.database.rows('select min("offset") from inbox')[0][0]
            if first is None:
                return 0
            # In small transactions, with room between them: others collect meanwhile.
            for start in range(first, up_to + 1, TRIM_ROWS):
                last = min(start + TRIM_ROWS - 1, up_to)
                with self.database.transaction() as connection:
                    sql = 'delete from inbox where "offset" between ? and ? and received < ?'
                    connection.execute(sql, (start, last, received_before_us))
                    here: int = connection.execute("select changes()").fetchall()[0][0]
                gone += here
                if not here:
                    break  # what comes behind was received later still
                time.sleep(GIVE_WAY_SECONDS)
        return gone

    def erase(self, offsets: Iterable[int]) -> int:
        """Drop rows so that no file holds their bytes any more; returns how many."""
        return self.database.erase(['delete from inbox where "offset" = ?'], offsets)

    def replace(self, bodies: Mapping[int, bytes]) -> int:
        """Put other bodies in the place of rows'; returns how many."""
        changed = 0
        with self.database.transaction() as connection:
            for offset, body in bodies.items():
                sql = 'update inbox set body = ? where "offset" = ?'
                connection.execute(sql, (body, offset))
                changed += connection.execute("select changes()").fetchall()[0][0]
        self.database.scrub()
        return changed

    def quarantine_put(self, rejected: Sequence[Rejected]) -> int:
        """Keep rejected events, each once; returns how many were new."""
        rows = [
            (one.key, one.source, to_microseconds(one.received), one.reason, one.detail, one.body)
            for one in rejected
        ]
        with self.database.transaction() as connection:
            before = connection.execute("select count(*) from quarantine").fetchall()[0][0]
            sql = (
                "insert into quarantine (key, source, received, reason, detail, body)"
                " values (?, ?, ?, ?, ?, ?) on conflict do nothing"
            )
            connection.executemany(sql, rows)
            after = connection.execute("select count(*) from quarantine").fetchall()[0][0]
        return int(after - before)

    def quarantine_list(self, after: int = 0, limit: int = 1000) -> list[Quarantined]:
        """Return quarantined events behind a number, in order."""
        sql = (
            "select number, source, received, reason, detail, body from quarantine"
            " where number > ? order by number limit ?"
        )
        found = []
        for number, source, received, reason, detail, body in self.database.rows(
            sql, (after, limit)
        ):
            at = from_microseconds(received)
            found.append(Quarantined(number, Rejected(source, at, reason, detail, body)))
        return found

    def quarantine_count(self) -> dict[str, int]:
        """Return reason -> how many."""
        sql = "select reason, count(*) from quarantine group by reason order by reason"
        return dict(self.database.rows(sql))

    def quarantine_erase(self, numbers: Iterable[int]) -> int:
        """Drop quarantined events so that no file holds their bytes any more."""
        return self.database.erase(["delete from quarantine where number = ?"], numbers)

    def quarantine_groups(self, examples: int) -> list[QuarantineGroup]:
        """Return a group for each reason and source, in this order, without reading a body."""
        found = []
        for reason, source, count, first, last, numbers in self.database.rows(_GROUPS, (examples,)):
            times = (from_microseconds(first), from_microseconds(last))
            listed = tuple(sorted(json.loads(numbers)))
            found.append(QuarantineGroup(reason, source, count, *times, listed))
        return found

    def damage(self) -> list[str]:
        """Check every byte that is kept; returns a line for each thing that is wrong."""
        return self.database.damage()

    def scrub(self) -> None:
        """Remove erased values from the files beside the tables."""
        self.database.scrub()

    def close(self) -> None:
        """Close the connections."""
        self.database.close()
