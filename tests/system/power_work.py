"""What each store does until the power goes, and what must be there afterwards.

A *fill* acknowledges how many of its steps are done; a *check* opens what the cut left and returns
how many of those are lost, and what is wrong: torn, out of order, without its other half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from liftwerk.store.decisions import BudgetReservation, DecisionRecord, FrequencyReservation
from liftwerk.store.decisions.kinds.sqlite import SqliteDecisions
from liftwerk.store.inbox import Rejected
from liftwerk.store.inbox.kinds.sqlite import SqliteInbox
from liftwerk.store.ledger import Key, Release, Snapshot
from liftwerk.store.ledger.kinds.sqlite import SqliteLedger
from liftwerk.store.online import Changes
from liftwerk.store.online.kinds.sqlite import SqliteOnline
from liftwerk.store.outbox import Entry, Health, Sealed, Settled
from liftwerk.store.outbox.kinds.sqlite import SqliteOutbox
from liftwerk.store.sqlite import Connect

AT = datetime(2026, 3, 1, tzinfo=UTC)

Acknowledge = Callable[[int], None]


def fill_inbox(path: Path, connect: Connect, acknowledge: Acknowledge) -> None:
    inbox = SqliteInbox(path, connect)
    for batch in range(20):
        rows = [((batch * 10 + n).to_bytes(16, "big"), "visit", n, b"x" * 400) for n in range(10)]
        acknowledge(max(inbox.append(rows)))


def check_inbox(path: Path, acknowledged: int) -> tuple[int, list[str]]:
    inbox = SqliteInbox(path)
    wrong = inbox.damage()
    ids = inbox.read(0, 10_000).column("event_id").to_pylist()
    if ids != [number.to_bytes(16, "big") for number in range(len(ids))]:
        wrong.append("other rows than were written, or out of order")
    if len(ids) % 10 != 0 or inbox.last_offset() != len(ids):
        wrong.append("a batch is torn")
    if list(inbox.append([(bytes(16), "visit", 0, b"")])) != [len(ids) + 1]:
        wrong.append("life doesn't go on")
    inbox.close()
    return acknowledged - len(ids), wrong


def fill_decisions(path: Path, connect: Connect, acknowledge: Acknowledge) -> None:
    decisions = SqliteDecisions(path, connect)
    for number in range(40):
        record = DecisionRecord(number.to_bytes(16, "big"), b"u%d" % number, "email", AT, b"{}")
        cap = FrequencyReservation("cap", timedelta(days=7), 1)
        decisions.decide(record, [BudgetReservation("budget", "week", AT, 3, 1000), cap])
        acknowledge(number + 1)


def check_decisions(path: Path, acknowledged: int) -> tuple[int, list[str]]:
    decisions = SqliteDecisions(path)
    wrong = decisions.damage()
    found = decisions.read(0, 10_000).num_rows
    if decisions.spent("week", AT) != 3 * found:
        wrong.append("the budget isn't what the records add up to")
    decisions.close()
    return acknowledged - found, wrong


def fill_ledger(path: Path, connect: Connect, acknowledge: Acknowledge) -> None:
    ledger = SqliteLedger(path, connect)
    for number in range(25):
        at = AT + timedelta(minutes=number)
        with ledger.change("jane", "release.insert", f"r{number}", {"n": number}, at) as tx:
            ledger.insert_release(tx, Release(f"r{number}", "best_email", b"{}", at))
            ledger.put_snapshot(tx, Snapshot(number, {"visit_v1": number}, at))
        acknowledge(number + 1)


def check_ledger(path: Path, acknowledged: int) -> tuple[int, list[str]]:
    ledger = SqliteLedger(path)
    wrong = ledger.damage()  # recomputes the audit chain too
    entries = len(ledger.audit())
    latest = ledger.latest_snapshot()
    offset = -1
    if latest is not None:
        offset = latest.inbox_offset
    if not len(ledger.releases()) == entries == offset + 1:
        wrong.append("an entry without its change, or a change without its entry")
    ledger.close()
    return acknowledged - entries, wrong


def fill_quarantine(path: Path, connect: Connect, acknowledge: Acknowledge) -> None:
    inbox = SqliteInbox(path, connect)
    for batch in range(20):
        rejected = [
            Rejected("web", AT, f"reason {batch % 3}", f"$.{batch * 5 + n}", b"y" * 300)
            for n in range(5)
        ]
        inbox.quarantine_put(rejected)
        acknowledge(5 * batch + 5)


def check_quarantine(path: Path, acknowledged: int) -> tuple[int, list[str]]:
    inbox = SqliteInbox(path)
    wrong = inbox.damage()
    details = [one.rejected.detail for one in inbox.quarantine_list()]
    if details != [f"$.{number}" for number in range(len(details))] or len(details) % 5 != 0:
        wrong.append("a rejection is torn, out of order or there twice")
    inbox.close()
    return acknowledged - len(details), wrong


def fill_trimmed(path: Path, connect: Connect, acknowledge: Acknowledge) -> None:
    """Append and trim in turn, as the sequencer does: what was trimmed rests elsewhere."""
    inbox = SqliteInbox(path, connect)
    for batch in range(20):
        rows = [((batch * 10 + n).to_bytes(16, "big"), "visit", n, b"x" * 400) for n in range(10)]
        offsets = inbox.append(rows)
        acknowledge(max(offsets))
        if batch % 3 == 2:
            inbox.trim(offsets[0] - 1, 2**62)


def check_trimmed(path: Path, acknowledged: int) -> tuple[int, list[str]]:
    inbox = SqliteInbox(path)
    wrong = inbox.damage()
    table = inbox.read(0, 10_000)
    offsets = table.column("offset").to_pylist()
    last = inbox.last_offset()
    if offsets and offsets != list(range(offsets[0], last + 1)):
        wrong.append("a row is missing behind those that were trimmed")
    if offsets and offsets[0] % 10 != 1:
        wrong.append("a trim is torn")
    if list(inbox.append([(bytes(16), "visit", 0, b"")])) != [last + 1]:
        wrong.append("an offset is given twice")
    inbox.close()
    return acknowledged - last, wrong


def fill_keys(path: Path, connect: Connect, acknowledge: Acknowledge) -> None:
    """Make a key, end the one before it, erase a customer: each is one audited change."""
    ledger = SqliteLedger(path, connect)
    for number in range(25):
        at = AT + timedelta(minutes=number)
        key = Key(f"k{number:02}", "web", number.to_bytes(32, "big"), "shop", at)
        with ledger.change("jane", "key.create", key.id, {}, at) as tx:
            ledger.add_key(tx, key)
            if number:
                ledger.revoke_key(tx, f"k{number - 1:02}")
            ledger.bury(tx, [number.to_bytes(16, "big")])
        acknowledge(number + 1)


def check_keys(path: Path, acknowledged: int) -> tuple[int, list[str]]:
    ledger = SqliteLedger(path)
    wrong = ledger.damage()
    entries = len(ledger.audit())
    keys = ledger.keys()
    if [key.id for key in keys] != [f"k{number:02}" for number in range(entries)]:
        wrong.append("a key without its entry, or an entry without its key")
    if sum(key.revoked is None for key in keys) != min(1, entries):
        wrong.append("a key that was ended works again")
    if ledger.buried() != {number.to_bytes(16, "big") for number in range(entries)}:
        wrong.append("somebody who was erased may come back")
    ledger.close()
    return acknowledged - entries, wrong


TAKEN = 10
"""Offsets that a batch of forwarding moves on by: 6 to send, of which 4 go through; 4 dropped."""


def fill_outbox(path: Path, connect: Connect, acknowledge: Acknowledge) -> None:
    outbox = SqliteOutbox(path, connect)
    outbox.begin("crm", 0)
    for batch in range(20):
        offsets = [TAKEN * batch + n for n in range(1, 7)]
        entries = [
            Entry(n, n.to_bytes(16, "big"), "visit", b"u%d" % (n % 5), AT, conversion=bytes([n]))
            for n in offsets
        ]
        outbox.seal([_sealed(n) for n in offsets])
        outbox.take("crm", TAKEN * (batch + 1), entries, {"no consent": 4}, AT)
        acknowledge(2 * batch + 1)
        settled = Settled(tuple(offsets[:4]), dead={offsets[4]: "refused"})
        outbox.settle("crm", settled, Health(succeeded=AT), AT)
        acknowledge(2 * batch + 2)


def _sealed(number: int) -> Sealed:
    event_id = number.to_bytes(16, "big")
    return Sealed("crm", event_id, (b"leaf",), "2026-03-01", b"x" * 200, AT + timedelta(days=2))


def check_outbox(path: Path, acknowledged: int) -> tuple[int, list[str]]:
    outbox = SqliteOutbox(path)
    wrong = outbox.damage()
    standing = outbox.standing("crm")
    taken = 0
    if standing is not None:
        taken = standing.position // TAKEN
    many: Counter[str] = Counter()
    for count in outbox.counts("crm"):
        many[count.outcome] += count.many
    settled = many["delivered"] // 4
    if settled not in (taken, taken - 1) or many["delivered"] % 4 != 0:
        wrong.append("what was delivered is no whole request, or of another batch")
    if (many["dropped"], many["dead"]) != (4 * taken, settled):
        wrong.append("the counts aren't what became of the events")
    waiting, dead = outbox.waiting("crm").many, len(outbox.dead("crm"))
    if (waiting, dead) != (6 * taken - 5 * settled, settled):
        wrong.append("what waits isn't what was taken and not settled")
    delivered = [bytes([TAKEN * batch + n]) for batch in range(settled) for n in range(1, 5)]
    if outbox.told("crm", delivered) != set(delivered):
        wrong.append("a conversion that was told could be told again")
    open_ones = {TAKEN * batch + 6 for batch in range(settled)}
    open_ones |= {TAKEN * batch + n for batch in range(settled, taken) for n in range(1, 7)}
    ids = [n.to_bytes(16, "big") for n in range(1, TAKEN * taken + 1)]
    sealed = outbox.sealed("crm", ids, AT)
    if sealed != {one.event_id: one for one in map(_sealed, open_ones)}:
        wrong.append("what is sealed is not of the events that wait")
    outbox.close()
    return acknowledged - taken - settled, wrong


MOVED = 40
"""Keys of an online space: each step writes 20 of them anew, drops one and replaces the members."""


def fill_online(path: Path, connect: Connect, acknowledge: Acknowledge) -> None:
    online = SqliteOnline(path, connect)
    progress = None
    for step in range(1, 26):
        written = [(b"u%02d" % (place % MOVED), _step(step)) for place in range(step, step + 20)]
        changes = {
            "crm": Changes(progress, written, drops=[b"u%02d" % ((step + 20) % MOVED)]),
            "crm/members": Changes(progress, [(b"ada", _step(step))], clear=True),
        }
        progress = online.apply(changes, step, AT)
        acknowledge(step)


def _step(step: int) -> bytes:
    return b"%02d" % step * 100


def check_online(path: Path, acknowledged: int) -> tuple[int, list[str]]:
    online = SqliteOnline(path)
    wrong = online.damage()
    progress = online.progress("crm")
    reached = 0
    if progress is not None:
        reached = progress.offset
    expected: dict[bytes, bytes] = {}
    for step in range(1, reached + 1):
        expected.pop(b"u%02d" % ((step + 20) % MOVED), None)
        expected |= {b"u%02d" % (place % MOVED): _step(step) for place in range(step, step + 20)}
    if {row.key: row.body for row in online.rows("crm")} != expected:
        wrong.append("the rows aren't those of the offset")
    members = [row.body for row in online.rows("crm/members")]
    if online.progress("crm/members") != progress or members != [_step(reached)][: len(expected)]:
        wrong.append("two spaces of one transaction stand apart")
    go_on = {name: Changes(progress) for name in ("crm", "crm/members")}
    online.apply(go_on, reached + 1, AT)
    online.close()
    return acknowledged - reached, wrong


WORK = {
    "inbox": (fill_inbox, check_inbox),
    "trimmed": (fill_trimmed, check_trimmed),
    "quarantine": (fill_quarantine, check_quarantine),
    "decisions": (fill_decisions, check_decisions),
    "ledger": (fill_ledger, check_ledger),
    "keys": (fill_keys, check_keys),
    "online": (fill_online, check_online),
    "outbox": (fill_outbox, check_outbox),
}
"""Name -> what is done until the power goes, and what is looked at afterwards.

Each SQLite file of a home stands here under its own name; the others do more with such a file.
"""
