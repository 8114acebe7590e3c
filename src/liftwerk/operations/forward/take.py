"""From the log into the outbox: each event becomes an entry or a counted reason, none is passed.

What may not be read for the destination's purpose is not seen here at all; the housekeeping purpose
``audit`` counts it, by the reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import duckdb
import msgspec
import pyarrow

from liftwerk.connectors.destinations.definition import DELIVERY_MOST, Destination
from liftwerk.definitions.project import Project
from liftwerk.events.definition import EventDefinition, known_events
from liftwerk.events.engine import quoted, text
from liftwerk.identity.resolve import CUSTOMER, relations
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.outbox.protocol import Entry
from liftwerk.store.stores import Stores

OPEN_MOST = 1000
"""Entries that a destination's outbox holds; what is behind them stays in the log."""

TEST_TRAFFIC = "test traffic"
NO_CONSENT = "no consent"
WITHDRAWN = "consent withdrawn, or erased"
TOLD_BEFORE = "a conversion that another event tells"
MODELLED = "modelled, not seen"
NOT_IN_SAMPLE = "not in the sample"

_CONVERSION_BYTES = 16


def take(
    project: Project, stores: Stores, name: str, destination: Destination, now: datetime
) -> int:
    """Move a destination's position on by as many events as its outbox has room for.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        The destination.
    destination : Destination
    now : datetime

    Returns
    -------
    int
        How many events were looked at that the purpose allows; the position may have moved on
        though there were none.
    """
    snapshot = stores.ledger.latest_snapshot()
    horizon = 0
    if snapshot is not None:
        horizon = snapshot.inbox_offset
    standing = stores.outbox.standing(name)
    if standing is None:
        begin = {"now": horizon, "beginning": 0}[destination.start]
        standing = stores.outbox.begin(name, begin)
    room = OPEN_MOST - stores.outbox.waiting(name).many
    if standing.position >= horizon or room <= 0:
        return 0
    return _take(project, stores, name, destination, (standing.position, horizon), room, now)


def _take(
    project: Project,
    stores: Stores,
    name: str,
    destination: Destination,
    span: tuple[int, int],
    room: int,
    now: datetime,
) -> int:
    after, until = span
    declared = known_events(project)
    kinds = {sent.event: declared[sent.event] for sent in destination.events}
    dropped: Counter[str] = Counter()
    unsent: list[bytes] = []
    with relations(project, stores, destination.purpose, names=[*kinds]) as seen:
        rows = _visible(seen, kinds, after, until, room)
        if len(rows) > room:
            rows = rows[:room]
            until = rows[-1]["offset"]
        with relations(project, stores, "audit", names=[*kinds]) as every:
            basis = project.get(PURPOSES)[destination.purpose].basis
            consented = "TRUE"
            if basis == "consent":
                granted = f"list_contains(consent_granted, {text(destination.purpose)})"
                consented = f"coalesce({granted}, FALSE)"
            for event, definition in kinds.items():
                offsets = [row["offset"] for row in rows if row["event"] == event]
                unseen = _Unseen(every, event, (after, until), offsets, consented)
                dropped.update(unseen.count(seen, definition.unique))
                if destination.delivery:
                    unsent += unseen.ids(now - DELIVERY_MOST)
    entries = _entries(stores, name, destination, rows, dropped, now)
    if destination.delivery:
        taken = {entry.event_id for entry in entries}
        unsent += [row["id"] for row in rows if row["id"] not in taken]
    stores.outbox.take(name, until, entries, +dropped, now, unsent)
    return len(rows)


def _visible(
    connection: duckdb.DuckDBPyConnection,
    kinds: Mapping[str, EventDefinition],
    after: int,
    until: int,
    room: int,
) -> list[dict[str, Any]]:
    """Return up to ``room + 1`` events in the order of the log, whatever their kind."""
    rows: list[dict[str, Any]] = []
    for event, definition in kinds.items():
        key = "NULL"
        if definition.unique:
            key = f"[{', '.join(f'{quoted(column)}::VARCHAR' for column in definition.unique)}]"
        found = connection.sql(
            f'SELECT "offset", id, {text(event)} AS event, {CUSTOMER} AS lane, modelled,'
            f" {key} AS unique_key FROM {quoted(event)}"
            f' WHERE "offset" > {after} AND "offset" <= {until} ORDER BY ALL LIMIT {room + 1}'
        )
        rows += found.to_arrow_table().to_pylist()
    rows.sort(key=lambda row: row["offset"])
    return rows[: room + 1]


class _Unseen:
    """The events of one kind in a span of the log that the purpose does not let through."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        event: str,
        span: tuple[int, int],
        seen: Sequence[int],
        consented: str,
    ) -> None:
        self._connection = connection
        self._event = event
        self._consented = consented
        connection.register("_seen", pyarrow.table({"o": pyarrow.array(seen, pyarrow.int64())}))
        self._where = (
            f'"offset" > {span[0]} AND "offset" <= {span[1]}'
            ' AND "offset" NOT IN (SELECT o FROM _seen)'
        )

    def count(self, permitted: duckdb.DuckDBPyConnection, unique: Sequence[str]) -> dict[str, int]:
        """Count them by the reason; ``permitted`` holds what the purpose lets through."""
        reason = (
            f"CASE WHEN synthetic THEN {text(TEST_TRAFFIC)}"
            f" WHEN NOT {self._consented} THEN {text(NO_CONSENT)} ELSE {text(WITHDRAWN)} END"
        )
        found = dict(
            self._connection.execute(
                f"SELECT {reason}, count(*) FROM {quoted(self._event)} WHERE {self._where}"
                " GROUP BY 1"
            ).fetchall()
        )
        if unique and WITHDRAWN in found:
            repeated = self._repeated(permitted, unique)
            found[TOLD_BEFORE] = repeated
            found[WITHDRAWN] -= repeated
        return found

    def ids(self, since: datetime) -> list[bytes]:
        """Return those for which something may wait sealed, as they came late enough."""
        rows = self._connection.execute(
            f"SELECT id FROM {quoted(self._event)}"
            f" WHERE {self._where} AND {self._consented} AND received >= ?",
            [since],
        ).fetchall()
        return [event_id for (event_id,) in rows]

    def _repeated(self, permitted: duckdb.DuckDBPyConnection, unique: Sequence[str]) -> int:
        columns = ", ".join(map(quoted, unique))
        keys = self._connection.sql(
            f"SELECT {columns} FROM {quoted(self._event)}"
            f" WHERE {self._where} AND NOT synthetic AND {self._consented}"
        ).to_arrow_table()
        permitted.register("_unseen", keys)
        [(many,)] = permitted.execute(
            f"SELECT count(*) FROM _unseen SEMI JOIN {quoted(self._event)} USING ({columns})"
        ).fetchall()
        permitted.unregister("_unseen")
        return int(many)


def _entries(
    stores: Stores,
    name: str,
    destination: Destination,
    rows: Sequence[Mapping[str, Any]],
    dropped: Counter[str],
    now: datetime,
) -> list[Entry]:
    keys = {row["offset"]: conversion_key(row["event"], row["unique_key"]) for row in rows}
    told = stores.outbox.told(name, {key for key in keys.values() if key is not None})
    entries = []
    for row in rows:
        lane = row["lane"] or row["id"]
        key = keys[row["offset"]]
        if row["modelled"]:
            dropped[MODELLED] += 1
        elif not in_sample(name, lane, destination.sample.exact):
            dropped[NOT_IN_SAMPLE] += 1
        elif key is not None and key in told:
            dropped[TOLD_BEFORE] += 1
        else:
            entries.append(Entry(row["offset"], row["id"], row["event"], lane, now, conversion=key))
    return entries


def conversion_key(event: str, values: Sequence[str | None] | None) -> bytes | None:
    """Return what makes an event one conversion; None where its key is not complete.

    Examples
    --------
    >>> conversion_key("order_completed", ["o1"]) == conversion_key("order_completed", ["o1"])
    True
    >>> conversion_key("order_completed", [None]) is None
    True
    """
    if values is None or any(value is None for value in values):
        return None
    content = msgspec.json.encode([event, *values])
    return hashlib.sha256(content).digest()[:_CONVERSION_BYTES]


def in_sample(destination: str, lane: bytes, share: Fraction) -> bool:
    """Say whether a customer's events are sent: always the same customers, by a hash.

    Examples
    --------
    >>> sum(in_sample("crm", b"%d" % number, Fraction(1, 10)) for number in range(10_000))
    963
    """
    digest = hashlib.sha256(f"sample\0{destination}\0".encode() + lane).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
