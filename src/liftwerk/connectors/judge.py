"""Rows, judged as a whole: every event of a row goes in, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct

from liftwerk.connectors.mapping import Mapped
from liftwerk.events.about import is_about
from liftwerk.events.admit import ERASED, Refusal, admit, digest
from liftwerk.events.compact import CLASH
from liftwerk.events.schema import Schema
from liftwerk.events.sequence import Verdict, sort_out
from liftwerk.store.inbox.protocol import InboxRow, Rejected
from liftwerk.store.stores import Stores

Chunk = Sequence[tuple[int, tuple[str | bytes | None, ...]]]


class Bad(Struct, frozen=True):
    """Why a row is bad: the reason, and the column that is to blame where that is known."""

    reason: str
    column: str | None

    def where(self, number: int) -> str:
        """Name the place in the file."""
        if self.column is None:
            return f"row {number}"
        return f"row {number}, column {self.column}"


@dataclass
class Judged:
    """What is known of a file's rows so far.

    Attributes
    ----------
    rows : int
        How many there are.
    bad : dict of int to Bad
        Row -> why it is not let in.
    erased : set of int
        Rows about erased customers.
    admitted : list of (int, InboxRow)
        The events of all other rows, each with its row's number.
    duplicates : int
        Events that are kept already, or that the file repeats.
    events : counter
        Event -> how many are new.
    new_rows : list of InboxRow
        What to append, in the file's order.
    """

    rows: int = 0
    bad: dict[int, Bad] = field(default_factory=dict)
    erased: set[int] = field(default_factory=set)
    admitted: list[tuple[int, InboxRow]] = field(default_factory=list)
    duplicates: int = 0
    events: Counter[str] = field(default_factory=Counter)
    new_rows: list[InboxRow] = field(default_factory=list)

    def hold_against(self, stores: Stores) -> None:
        """Compare ids with what is kept: a row with a known id of other content is bad."""
        ids = [row.event_id for _, row in self.admitted]
        verdicts = sort_out(stores, ids, [digest(row.body) for _, row in self.admitted])
        for place, verdict in verdicts.items():
            if verdict == Verdict.CLASH:
                number, row = self.admitted[place]
                self.bad.setdefault(number, Bad(f"{row.name}: {CLASH}", None))
        for place, (number, row) in enumerate(self.admitted):
            if number in self.bad:
                continue
            # One that repeats an event of this file goes along: the first may be in a bad row.
            if verdicts.get(place) != Verdict.KEPT:
                self.new_rows.append(row)
            if place in verdicts:
                self.duplicates += 1
            else:
                self.events[row.name] += 1

    def spare_the_erased(
        self, schema: Schema, rejected: Mapping[int, Rejected], buried: frozenset[bytes]
    ) -> list[Rejected]:
        """Return what goes to quarantine: a bad row about an erased customer is kept nowhere."""
        kept = []
        for number, one in rejected.items():
            if buried and is_about(schema, one.body, buried):
                self.erased.add(number)
                del self.bad[number]
            else:
                kept.append(one)
        return kept


class Judgement:
    """How one import's rows are judged."""

    def __init__(
        self,
        schema: Schema,
        source: str,
        received: datetime,
        buried: frozenset[bytes],
        mapped: Mapped,
    ) -> None:
        self.schema = schema
        self.source = source
        self.received = received
        self.buried = buried
        self.mapped = mapped

    def of(self, chunks: Iterable[Chunk]) -> Judged:
        """Judge every row of a file by itself."""
        judged = Judged()
        for chunk in chunks:
            self._judge(chunk, judged)
        return judged

    def _judge(self, chunk: Chunk, judged: Judged) -> None:
        judged.rows += len(chunk)
        bodies = [body for _, events in chunk for body in events if body is not None]
        owners = [
            (number, place)
            for number, events in chunk
            for place, body in enumerate(events)
            if body is not None
        ]
        admitted = admit(bodies, self.schema, self.source, self.received, self.buried)
        refused = set()
        for refusal in admitted.refused:
            number, place = owners[refusal.index]
            refused.add(number)
            if refusal.reason == ERASED:
                judged.erased.add(number)
            else:
                judged.bad.setdefault(number, self._bad(refusal, place))
        judged.erased.difference_update(judged.bad)
        judged.admitted += [
            (number, row)
            for (number, _), row in zip(owners, admitted.rows, strict=True)
            if row is not None and number not in refused
        ]

    def _bad(self, refusal: Refusal, place: int) -> Bad:
        column = self.mapped.columns[place].get(refusal.path)
        reason = refusal.reason
        if refusal.path in self.mapped.maps[place]:
            reason = f"{reason.partition(':')[0]}: the map has no entry for it"
        if refusal.path == "$.id":
            reason = f"{reason.partition('.')[0]}: no key"
        return Bad(reason, column)
