"""Replay: what is in quarantine is judged again, by today's definitions.

    quarantine -> admit -> inbox (durable) -> out of quarantine -> the sequencer

Killed between the two, an event is in both places; replayed again it is appended twice, with one
id, and the sequencer keeps it once.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct, structs

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Share
from liftwerk.events.admit import ERASED, admit, digest
from liftwerk.events.compact import CLASH, UNDECLARED
from liftwerk.events.definition import LIVE
from liftwerk.events.schema import Schema, head_of, schema_of
from liftwerk.events.sequence import Verdict, sort_out
from liftwerk.faults import fault
from liftwerk.store.inbox.protocol import InboxRow, Quarantined, Rejected
from liftwerk.store.stores import Stores

PAGE = 10_000
"""Bodies that are held in memory at once."""


class Judged(Struct, frozen=True):
    """What became of one thing in quarantine.

    Attributes
    ----------
    rows : tuple of InboxRow
        What goes into the inbox; none where it is there already.
    reason : str
        Why it stays; empty when it leaves.
    detail : str
        Where it was refused.
    """

    rows: tuple[InboxRow, ...] = ()
    reason: str = ""
    detail: str = ""


Judge = Callable[[Sequence[Quarantined]], Mapping[int, Judged]]
"""Judges what is no event but came as one of the ways in has it: number -> what became of it."""


class Replayed(Struct, frozen=True):
    """What a replay did, or would do.

    Attributes
    ----------
    events : dict of str to int
        Event -> how many went into the inbox.
    known : int
        Left quarantine because the tables have them already, or the source's sample not.
    erased : int
        About customers who were erased since; dropped.
    stayed : dict of str to int
        Reason, as it is now -> how many stay.
    """

    events: dict[str, int]
    known: int
    erased: int
    stayed: dict[str, int]


def replay(
    project: Project,
    stores: Stores,
    reason: str | None = None,
    dry_run: bool = False,
    others: Judge | None = None,
) -> Replayed:
    """Judge what is in quarantine again; what passes goes into the inbox.

    Parameters
    ----------
    project : Project
    stores : Stores
    reason : str, optional
        Only what is there for a reason with this text in it.
    dry_run : bool
        Say what would be done, and write nothing.
    others : callable, optional
        Judges what is no event, such as the rows of a file; without it they stay.

    Returns
    -------
    Replayed
        An event keeps the time at which it was received; its place in the log says that it was let
        in late.
    """
    schema = schema_of(project)
    events: Counter[str] = Counter()
    stayed: Counter[str] = Counter()
    leaving: list[int] = []
    put: set[bytes] = set()
    known = erased = 0
    for page in _pages(stores, reason):
        mine = [kept for kept in page if kept.rejected.key not in put]
        judged = _judge(schema, stores, mine, others)
        rows = [row for one in judged.values() for row in one.rows]
        renewed = []
        for kept in mine:
            one = judged[kept.number]
            if one.reason not in ("", ERASED):
                stayed[one.reason] += 1
            if one.reason == kept.rejected.reason:
                continue
            leaving.append(kept.number)
            if one.reason == ERASED:
                erased += 1
            elif one.reason:
                again = structs.replace(
                    kept.rejected, reason=one.reason, detail=_detail(kept.rejected, one)
                )
                renewed.append(again)
                put.add(again.key)
            elif not one.rows:
                known += 1
        events.update(row.name for row in rows)
        if not dry_run:
            if rows:
                stores.inbox.append(rows)
            if renewed:
                stores.inbox.quarantine_put(renewed)
    if leaving and not dry_run:
        # Only now: all of it is durable elsewhere. And at once, since every byte is overwritten.
        with fault("quarantine_release"):
            stores.inbox.quarantine_erase(leaving)
    return Replayed(dict(sorted(events.items())), known, erased, dict(stayed.most_common()))


def _detail(before: Rejected, now: Judged) -> str:
    """Say where it was refused; a line of a file remains the place to look at."""
    if before.detail.startswith("$"):
        return now.detail
    return before.detail


def _pages(stores: Stores, reason: str | None) -> Iterator[list[Quarantined]]:
    after = 0
    while page := stores.inbox.quarantine_list(after, PAGE):
        after = page[-1].number
        yield [kept for kept in page if reason is None or reason in kept.rejected.reason]


def _judge(
    schema: Schema, stores: Stores, page: Sequence[Quarantined], others: Judge | None
) -> dict[int, Judged]:
    judged = {kept.number: Judged(reason=kept.rejected.reason) for kept in page}
    sent: dict[tuple[str, bool], list[Quarantined]] = {}
    rest = []
    for kept in page:
        rejected = kept.rejected
        if rejected.source == LIVE:
            continue  # its unit stands beside the body, where no door lets it in
        if is_row(rejected.body):
            rest.append(kept)
        else:
            was_admitted = rejected.reason in (CLASH, UNDECLARED)
            sent.setdefault((rejected.source, was_admitted), []).append(kept)
    for (source, was_admitted), group in sent.items():
        if source not in schema.sources:
            what = f"the source {source!r} is no longer declared"
            judged.update({kept.number: Judged(reason=what) for kept in group})
            continue
        rules = schema
        if was_admitted:
            rules = _unsampled(schema)
        judged.update(_admitted(rules, stores, source, group))
    if others is not None and rest:
        judged.update(others(rest))
    return judged


def is_row(body: bytes) -> bool:
    """Say whether a body is a row of a file, as `liftwerk.connectors` keeps it."""
    if head_of(body) != (None, None):
        return False
    said = msgspec.json.decode(body)
    return "import" in said and "columns" in said


def _unsampled(schema: Schema) -> Schema:
    """Leave sampling out: what was admitted once has its weight already."""
    whole = Share("100%")
    sources = {name: structs.replace(one, sample=whole) for name, one in schema.sources.items()}
    return dataclasses.replace(schema, sources=sources)


def _admitted(
    schema: Schema, stores: Stores, source: str, group: Sequence[Quarantined]
) -> dict[int, Judged]:
    judged: dict[int, Judged] = {}
    buried = stores.ledger.buried()
    rows: list[tuple[int, InboxRow]] = []
    for kept in group:
        # Each with the time it came at: a browser's clock is corrected by it.
        admitted = admit([kept.rejected.body], schema, source, kept.rejected.received, buried)
        row = admitted.rows[0]
        judged[kept.number] = Judged()
        if row is not None:
            rows.append((kept.number, row))
        elif admitted.refused:
            refusal = admitted.refused[0]
            judged[kept.number] = Judged(reason=refusal.reason, detail=refusal.path)
    ids = [row.event_id for _, row in rows]
    verdicts = sort_out(stores, ids, [digest(row.body) for _, row in rows])
    for place, (number, row) in enumerate(rows):
        verdict = verdicts.get(place)
        if verdict == Verdict.CLASH:
            judged[number] = Judged(
                reason=CLASH, detail=f"{row.name}, id {uuid.UUID(bytes=row.event_id)}"
            )
        elif verdict is None:
            judged[number] = Judged(rows=(row,))
    return judged
