"""Bad rows: how many a file may have, and how each rests in quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction

import msgspec

from liftwerk.connectors.definition import IMPORT_LIMITS
from liftwerk.connectors.job import ImportJob, first_places
from liftwerk.connectors.judge import Bad
from liftwerk.connectors.mapping import ROW, numbered
from liftwerk.connectors.rows import Rows
from liftwerk.errors import TooManyBadRows
from liftwerk.events.engine import connect, quoted, text
from liftwerk.store.inbox.protocol import Rejected

SHOWN = 3
"""Reasons that are named when a file is refused."""

About = Callable[[Mapping[str, object]], Mapping[str, object]]
"""From a row's columns to the identifiers in it, by what they are called: erasure looks there."""


def in_columns(columns: Mapping[str, str]) -> About:
    """Find identifiers in columns of their own.

    Parameters
    ----------
    columns : mapping of str to str
        Namespace -> column.
    """
    return lambda row: {namespace: row[column] for namespace, column in columns.items()}


def demand_quality(
    job: ImportJob, label: str, bad: Mapping[int, Bad], many: int, rows: int
) -> None:
    """Refuse a file with more bad rows than the project allows.

    Parameters
    ----------
    job : ImportJob
    label : str
        What the file is called.
    bad : mapping of int to Bad
        The rows that are named in the message.
    many, rows : int
        How many rows were bad so far, and how many there were.

    Raises
    ------
    TooManyBadRows
    """
    allowed = job.project.get(IMPORT_LIMITS).max_bad
    if Fraction(many, max(rows, 1)) <= allowed.exact:
        return
    first = first_places(bad)
    reasons = Counter(one.reason for one in bad.values()).most_common(SHOWN)
    said = (f"{count} x {reason} (first in {first[reason]})" for reason, count in reasons)
    what = f"{many} of {rows} rows are bad, {allowed} are allowed"
    raise TooManyBadRows(what, label, "; ".join(said))


def rejected_rows(
    job: ImportJob,
    rows: Rows,
    bad: Mapping[int, Bad],
    about: About,
    piece: tuple[str, range] | None = None,
) -> dict[int, Rejected]:
    """Fetch bad rows as they stand in the file, for the quarantine.

    Parameters
    ----------
    job : ImportJob
    rows : Rows
    bad : mapping of int to Bad
    about : callable
    piece : tuple of str and range, optional
        Of one file of many: its label, and the rows that the bad ones are among.
    """
    if not bad:
        return {}
    columns = ", ".join(f"{text(column)}, {quoted(column)}" for column in rows.columns)
    found, label = numbered(rows), ""
    if piece is not None:
        label, among = piece
        found = f"SELECT * FROM ({found}) LIMIT {len(among)} OFFSET {among.start - 1}"
    connection = connect()
    fetched = connection.execute(
        f"SELECT {ROW}, json_object({columns})::VARCHAR FROM ({found})"
        f" SEMI JOIN (SELECT unnest(?::BIGINT[]) AS {ROW}) USING ({ROW}) ORDER BY {ROW}",
        [sorted(bad)],
    ).fetchall()
    connection.close()
    now = job.clock.now()
    rejected = {}
    for number, said in fetched:
        values = msgspec.json.decode(said)
        body = {"import": job.name, "row": number, "identifiers": about(values), "columns": values}
        where = bad[number].where(number)
        if label:
            body["table"], where = table_of(label), f"{label}, {where}"
        encoded = msgspec.json.encode(body)
        reason = bad[number].reason
        rejected[number] = Rejected(job.definition.source, now, reason, where, encoded)
    return rejected


def table_of(label: str) -> str:
    """Name the table that a file was exported from: a warehouse's files have the events' names.

    Examples
    --------
    >>> table_of("exports/order_completed.ndjson.gz")
    'order_completed'
    """
    return label.rpartition("/")[2].partition(".")[0]
