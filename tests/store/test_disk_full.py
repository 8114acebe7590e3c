"""A full disk is one line, nothing is half written, and what was there stays."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from liftwerk.errors import StoreFault
from liftwerk.store.artefacts import FileArtefacts
from liftwerk.store.decisions import BudgetReservation, DecisionRecord
from liftwerk.store.decisions.kinds.sqlite import SqliteDecisions
from liftwerk.store.inbox.kinds.sqlite import SqliteInbox
from liftwerk.store.ledger import Release
from liftwerk.store.ledger.kinds.sqlite import SqliteLedger
from liftwerk.store.online import Changes
from liftwerk.store.online.kinds.sqlite import SqliteOnline
from liftwerk.store.sqlite import Database

AT = datetime(2026, 3, 1, tzinfo=UTC)


def fill_up(database: Database) -> None:
    """Let the file grow by a page more at most."""
    pages = database.rows("pragma page_count")[0][0]
    database.rows(f"pragma max_page_count={pages + 1}")


def make_room(database: Database) -> None:
    database.rows("pragma max_page_count=1000000")


def test_the_inbox_keeps_earlier_batches(tmp_path: Path) -> None:
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    rows = [(number.to_bytes(16, "big"), "visit", 0, b"x" * 400) for number in range(50)]
    inbox.append(rows)
    fill_up(inbox.database)
    with pytest.raises(StoreFault, match="the disk is full") as fault:
        inbox.append(rows)
    assert "\n" not in str(fault.value)
    assert inbox.count() == 50
    assert inbox.damage() == []
    make_room(inbox.database)
    assert min(inbox.append(rows)) == 51
    inbox.close()


def test_the_ledger_keeps_its_chain(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")

    def release(number: int) -> None:
        with ledger.change("jane", "release.insert", f"r{number}", {}, AT) as tx:
            ledger.insert_release(tx, Release(f"r{number}", "p", b"x" * 20_000, AT))

    release(1)
    fill_up(ledger.database)
    with pytest.raises(StoreFault, match="the disk is full"):
        release(2)
    assert [one.id for one in ledger.releases()] == ["r1"]
    assert ledger.verify_audit().entries == 1
    make_room(ledger.database)
    release(2)
    assert ledger.verify_audit().ok
    ledger.close()


def test_a_decision_that_found_no_room_spends_nothing(tmp_path: Path) -> None:
    decisions = SqliteDecisions(tmp_path / "decisions.sqlite")
    budget = BudgetReservation("budget", "week", AT, 5, 100)
    small = DecisionRecord(bytes(16), b"u", "email", AT, b"{}")
    large = DecisionRecord(b"1" * 16, b"u", "email", AT, b"x" * 20_000)
    decisions.decide(small, [budget])
    fill_up(decisions.database)
    with pytest.raises(StoreFault, match="the disk is full"):
        decisions.decide(large, [budget])
    assert decisions.spent("week", AT) == 5
    assert decisions.get(large.id) is None
    make_room(decisions.database)
    assert decisions.decide(large, [budget]).recorded
    decisions.close()


def test_online_values_stay_at_their_last_offset(tmp_path: Path) -> None:
    online = SqliteOnline(tmp_path / "online.sqlite")
    progress = online.apply({"crm": Changes(None, [(b"ada", b"1"), (b"bob", b"1")])}, 1, AT)
    fill_up(online.database)
    larger = [(b"ada", b"2"), *((b"%d" % number, b"x" * 4000) for number in range(20))]
    with pytest.raises(StoreFault, match="the disk is full"):
        online.apply({"crm": Changes(progress, larger, drops=[b"bob"])}, 2, AT)
    assert online.get("crm", [b"ada", b"bob"]) == ([b"1", b"1"], progress)
    make_room(online.database)
    online.apply({"crm": Changes(progress, larger, drops=[b"bob"])}, 2, AT)
    assert online.get("crm", [b"ada", b"bob"])[0] == [b"2", None]
    online.close()


def test_an_artefact_that_found_no_room_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefacts = FileArtefacts(tmp_path / "artefacts")

    def full(path: Path, data: bytes, beside: Path) -> None:
        beside.write_bytes(data[:3])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("liftwerk.store.artefacts.write_atomically", full)
        with pytest.raises(StoreFault, match="No space left on device"):
            artefacts.put(b"a model")
    assert list((tmp_path / "artefacts").iterdir()) == []
    assert artefacts.get(artefacts.put(b"a model")) == b"a model"
