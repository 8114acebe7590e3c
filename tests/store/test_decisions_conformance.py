"""Every kind of decision store keeps the promises of `liftwerk.store.decisions.Decisions`."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pytest

from liftwerk.store.decisions import (
    DECISIONS,
    BudgetReservation,
    DecisionRecord,
    Decisions,
    FrequencyReservation,
    Reservation,
    Verdict,
)
from liftwerk.store.urls import open_url

Open = Callable[[], Decisions]
AT = datetime(2026, 3, 4, 15, tzinfo=UTC)
WEEK = datetime(2026, 3, 2, tzinfo=UTC)
CAP = FrequencyReservation("frequency", timedelta(days=7), 2)


@pytest.fixture(params=sorted(DECISIONS))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}:{tmp_path / 'decisions'}"


@pytest.fixture
def reopen(url: str) -> Open:
    return lambda: open_url("decisions", DECISIONS, url)


def record(number: int, unit: bytes = b"u1", **changed: object) -> DecisionRecord:
    values: dict[str, object] = {"placement": "email", "at": AT, "body": b'{"n":%d}' % number}
    values.update(changed)
    return DecisionRecord(number.to_bytes(16, "big"), unit, **values)  # type: ignore[arg-type]


def budget(amount: int, limit: int = 100, start: datetime = WEEK) -> BudgetReservation:
    return BudgetReservation("budget", "best_email", start, amount, limit)


def test_a_record_comes_back_as_it_was(reopen: Open) -> None:
    decisions = reopen()
    first, second = record(1), record(2, unit=b"u2", contact=False)
    assert decisions.decide(first, []) == Verdict()
    assert decisions.decide(second, []).recorded
    decisions.close()
    decisions = reopen()
    assert decisions.get(first.id) == first
    assert decisions.get(b"?" * 16) is None
    table = decisions.read(after=1, limit=10)
    assert table.schema.field("id").type == pyarrow.binary(16)
    assert table.to_pylist() == [
        {
            "offset": 2,
            "id": second.id,
            "unit": b"u2",
            "placement": "email",
            "at": AT,
            "contact": False,
            "body": b'{"n":2}',
        }
    ]
    assert decisions.read(after=2, limit=10).num_rows == 0
    assert decisions.last_offset() == 2
    decisions.close()


def test_a_budget_is_used_to_the_cent_and_not_beyond(reopen: Open) -> None:
    decisions = reopen()
    assert decisions.decide(record(1), [budget(60)]).recorded
    verdict = decisions.decide(record(2), [budget(41)])
    assert (verdict.recorded, verdict.blocked) == (False, ("budget",))
    assert decisions.get(record(2).id) is None
    assert decisions.decide(record(3), [budget(40)]).recorded
    assert decisions.spent("best_email", WEEK) == 100
    assert not decisions.decide(record(4), [budget(1)]).recorded
    assert decisions.decide(record(5), [budget(0)]).recorded
    # another week, another purse
    assert decisions.decide(record(6), [budget(60, start=WEEK + timedelta(7))]).recorded
    assert decisions.spent("best_email", WEEK + timedelta(7)) == 60
    assert decisions.spent("other", WEEK) == 0
    decisions.close()


def test_two_reservations_of_one_budget_see_each_other(reopen: Open) -> None:
    decisions = reopen()
    assert not decisions.decide(record(1), [budget(60), budget(60)]).recorded
    assert decisions.spent("best_email", WEEK) == 0
    assert decisions.decide(record(1), [budget(50), budget(50)]).recorded
    assert decisions.spent("best_email", WEEK) == 100
    decisions.close()


def test_a_negative_reservation_is_a_mistake(reopen: Open) -> None:
    decisions = reopen()
    with pytest.raises(ValueError, match="negative"):
        decisions.decide(record(1), [budget(-1)])
    assert decisions.get(record(1).id) is None
    decisions.close()


def test_contacts_are_capped_in_a_sliding_window(reopen: Open) -> None:
    decisions = reopen()
    assert decisions.decide(record(1), [CAP]).recorded
    assert decisions.decide(record(2, at=AT + timedelta(days=3)), [CAP]).recorded
    later = AT + timedelta(days=7) - timedelta(microseconds=1)
    assert decisions.decide(record(3, at=later), [CAP]).blocked == ("frequency",)
    assert decisions.contacts(b"u1", later, timedelta(days=7)) == 2
    assert decisions.decide(record(4, unit=b"u2", at=later), [CAP]).recorded
    # exactly a window after the first, the first no longer counts
    assert decisions.decide(record(5, at=AT + timedelta(days=7)), [CAP]).recorded
    assert not decisions.decide(record(6, at=AT + timedelta(days=7)), [CAP]).recorded
    decisions.close()


def test_only_contacts_count_and_control_is_never_capped(reopen: Open) -> None:
    decisions = reopen()
    for number in range(1, 6):
        assert decisions.decide(record(number, contact=False), [CAP]).recorded
    assert decisions.decide(record(6), [CAP]).recorded
    assert decisions.decide(record(7), [CAP]).recorded
    assert not decisions.decide(record(8), [CAP]).recorded
    assert decisions.decide(record(9, contact=False), [CAP]).recorded
    decisions.close()


def test_a_cap_may_count_one_placement_only(reopen: Open) -> None:
    decisions = reopen()
    one = FrequencyReservation("frequency", timedelta(days=7), 1, placement="banner")
    assert decisions.decide(record(1), [one]).recorded
    assert decisions.decide(record(2, placement="banner"), [one]).recorded
    assert not decisions.decide(record(3, placement="banner"), [one]).recorded
    assert decisions.contacts(b"u1", AT, timedelta(days=7), "banner") == 1
    decisions.close()


def test_a_clock_that_is_behind_still_sees_every_contact(reopen: Open) -> None:
    decisions = reopen()
    assert decisions.decide(record(1), [CAP]).recorded
    assert decisions.decide(record(2), [CAP]).recorded
    behind = record(3, at=AT - timedelta(seconds=5))
    assert not decisions.decide(behind, [CAP]).recorded
    decisions.close()


def test_every_guardrail_that_blocks_is_named_and_nothing_is_kept(reopen: Open) -> None:
    decisions = reopen()
    decisions.decide(record(1), [budget(90)])
    decisions.decide(record(2), [])
    verdict = decisions.decide(record(3), [budget(5), CAP])
    assert verdict.blocked == ("frequency",)
    assert decisions.spent("best_email", WEEK) == 90
    assert decisions.decide(record(3), [CAP, budget(11)]).blocked == ("frequency", "budget")
    decisions.close()


def test_the_same_decision_again_reserves_nothing(reopen: Open) -> None:
    decisions = reopen()
    assert not decisions.decide(record(1), [budget(60)]).repeated
    again = decisions.decide(record(1), [budget(60)])
    assert (again.recorded, again.repeated) == (True, True)
    assert decisions.spent("best_email", WEEK) == 60
    with pytest.raises(ValueError, match="other content"):
        decisions.decide(record(1, body=b"{}"), [])
    decisions.close()


def test_many_at_once_see_each_other(reopen: Open) -> None:
    decisions = reopen()
    needed: list[Reservation] = [budget(30), CAP]
    wanted = [(record(number), needed) for number in range(1, 5)]
    verdicts = decisions.decide_many(wanted)
    assert [verdict.recorded for verdict in verdicts] == [True, True, False, False]
    assert decisions.spent("best_email", WEEK) == 60
    assert decisions.decide_many([]) == []
    decisions.close()


def test_erased_bytes_are_in_no_file(reopen: Open, tmp_path: Path) -> None:
    decisions = reopen()
    secret = b"jane.doe@example.org"
    decisions.decide(record(1, unit=b"jane-unit", body=secret), [budget(10)])
    decisions.decide(record(2, unit=b"u2"), [budget(10)])
    assert decisions.erase([b"jane-unit", b"nobody"]) == 1
    for path in tmp_path.iterdir():
        assert secret not in path.read_bytes()
        assert b"jane-unit" not in path.read_bytes()
    assert decisions.read(0, 10).num_rows == 1
    assert decisions.spent("best_email", WEEK) == 20
    decisions.close()


def _spend(url: str, worker: int, amounts: Sequence[int], limit: int) -> None:
    decisions: Decisions = open_url("decisions", DECISIONS, url)
    for place, amount in enumerate(amounts):
        unit = b"unit-%d" % (place % 5)
        cap = FrequencyReservation("cap", timedelta(days=7), 30)
        wanted: list[Reservation] = [budget(amount, limit), cap]
        decisions.decide(record(worker * 1000 + place, unit=unit, body=b"%d" % amount), wanted)
    decisions.close()


@pytest.mark.slow
def test_many_processes_use_all_of_a_budget_and_never_a_cent_more(url: str, reopen: Open) -> None:
    limit, workers = 1000, 6
    amounts = [13, 7, 1, 5, 29, 3, 2, 1, 1, 17] * 6  # 6 workers want 2844
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_spend, args=(url, worker, amounts, limit))
        for worker in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * workers
    decisions = reopen()
    table = decisions.read(0, 10_000)
    recorded = sum(int(body) for body in table.column("body").to_pylist())
    assert decisions.spent("best_email", WEEK) == recorded == limit
    for unit in range(5):
        assert decisions.contacts(b"unit-%d" % unit, AT, timedelta(days=7)) <= 30
    decisions.close()
