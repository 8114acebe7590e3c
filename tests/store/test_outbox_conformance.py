"""Every kind of outbox keeps the promises of `liftwerk.store.outbox.Outbox`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from liftwerk.store.outbox import (
    OUTBOXES,
    Count,
    Entry,
    Health,
    Outbox,
    Sealed,
    Settled,
    Standing,
    Waiting,
)
from liftwerk.store.urls import open_url

Open = Callable[[], Outbox]
AT = datetime(2026, 3, 4, 15, 10, tzinfo=UTC)
HOUR = datetime(2026, 3, 4, 15, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)


@pytest.fixture(params=sorted(OUTBOXES))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return lambda: open_url("outbox", OUTBOXES, f"{request.param}:{tmp_path / 'outbox'}")


def entry(offset: int, lane: bytes = b"ada", due: datetime = AT, **more: object) -> Entry:
    values: dict[str, object] = {"event": "visit", "lane": lane, "due": due, **more}
    return Entry(offset, offset.to_bytes(16, "big"), **values)  # type: ignore[arg-type]


def filled(outbox: Outbox, *entries: Entry) -> None:
    outbox.begin("crm", 0)
    outbox.take("crm", max(one.offset for one in entries), entries, {}, AT)


def offsets(outbox: Outbox, at: datetime = AT, limit: int = 100) -> list[int]:
    return [one.offset for one in outbox.due("crm", at, limit)]


def test_a_position_moves_on_with_what_it_passed(reopen: Open) -> None:
    outbox = reopen()
    assert outbox.standing("crm") is None
    assert outbox.begin("crm", 3) == Standing(3)
    assert outbox.begin("crm", 9) == Standing(3)
    full = entry(5, tries=2, strikes=1, tried=AT, reason="HTTP 503", conversion=b"k" * 16)
    outbox.take("crm", 7, [full], {"no consent": 2}, AT)
    outbox.take("crm", 8, [], {"no consent": 1}, AT)
    outbox.close()
    outbox = reopen()
    assert outbox.standing("crm") == Standing(8)
    assert outbox.due("crm", AT, 10) == [full]
    assert outbox.counts("crm") == [Count(HOUR, "dropped", "no consent", 3)]
    assert outbox.waiting("crm") == Waiting(1, 5, 1, AT)
    assert outbox.waiting("other") == Waiting(0, None, 0, None)
    outbox.close()


def test_a_position_never_goes_back(reopen: Open) -> None:
    outbox = reopen()
    outbox.begin("crm", 3)
    with pytest.raises(ValueError, match="cannot go to 2"):
        outbox.take("crm", 2, [entry(2)], {}, AT)
    with pytest.raises(ValueError, match="cannot go to 5"):
        outbox.take("never begun", 5, [], {}, AT)
    assert outbox.waiting("crm").many == 0
    outbox.close()


def test_a_conversion_is_told_once_to_each_destination(reopen: Open) -> None:
    outbox = reopen()
    filled(outbox, entry(1, conversion=b"a" * 16), entry(2))
    both = [b"a" * 16, b"b" * 16]
    assert outbox.told("crm", both) == set()  # nobody has told it yet
    outbox.settle("crm", Settled(dead={1: "HTTP 400"}), Health(), AT)
    assert outbox.told("crm", both) == set()
    outbox.settle("crm", Settled(delivered=(1,)), Health(), AT)
    assert outbox.told("crm", both) == {b"a" * 16}
    assert outbox.told("other", both) == set()
    outbox.close()


def test_what_stands_behind_one_that_waits_waits_too(reopen: Open) -> None:
    outbox = reopen()
    filled(outbox, entry(1, due=LATER), entry(2), entry(3, b"bob"), entry(4, b"bob"))
    assert offsets(outbox) == [3, 4]
    assert offsets(outbox, limit=1) == [3]
    assert offsets(outbox, LATER) == [1, 2, 3, 4]
    # A dead letter keeps nobody waiting.
    outbox.settle("crm", Settled(dead={1: "HTTP 400"}), Health(), AT)
    assert offsets(outbox) == [2, 3, 4]
    outbox.close()


def test_a_request_is_settled_whole(reopen: Open) -> None:
    outbox = reopen()
    filled(outbox, *[entry(number, bytes([number])) for number in range(1, 6)])
    again = structs.replace(entry(4, b"\4"), due=LATER, tries=1, tried=AT, reason="HTTP 503")
    health = Health(1, AT, LATER, AT, AT, "HTTP 503")
    settled = Settled((1,), {2: "too old"}, {3: "HTTP 400"}, (again,))
    outbox.settle("crm", settled, health, AT)
    assert outbox.standing("crm") == Standing(5, health)
    assert outbox.due("crm", LATER, 10) == [again, entry(5, b"\5")]
    assert outbox.waiting("crm") == Waiting(2, 4, 1, AT)
    assert outbox.counts("crm") == [
        Count(HOUR, "dead", "HTTP 400", 1),
        Count(HOUR, "delivered", "", 1),
        Count(HOUR, "dropped", "too old", 1),
    ]
    assert outbox.dead_count("crm") == {"HTTP 400": 1}
    outbox.close()


def test_dead_letters_are_replayed_by_destination_and_reason(reopen: Open) -> None:
    outbox = reopen()
    for name in ("crm", "ads"):
        outbox.begin(name, 0)
        outbox.take(name, 2, [entry(1), entry(2, b"bob")], {}, AT)
        outbox.settle(name, Settled(dead={1: "HTTP 400", 2: "HTTP 410"}), Health(), AT)
    assert [(name, one.offset) for name, one in outbox.dead()] == [
        ("ads", 1), ("crm", 1), ("ads", 2), ("crm", 2),
    ]  # fmt: skip
    assert [one.reason for _, one in outbox.dead("crm")] == ["HTTP 400", "HTTP 410"]
    assert len(outbox.dead(limit=3)) == 3
    assert outbox.due("crm", LATER, 10) == []
    assert outbox.replay(LATER, "crm", "HTTP 410") == 1
    assert outbox.replay(LATER, "crm", "HTTP 410") == 0
    (back,) = outbox.due("crm", LATER, 10)
    assert (back.offset, back.tries, back.due) == (2, 0, LATER)
    assert outbox.replay(LATER) == 3
    assert outbox.dead() == []
    outbox.close()


def test_erased_bytes_are_in_no_file(reopen: Open, tmp_path: Path) -> None:
    outbox = reopen()
    secret = b"lane-of-ada-love"
    filled(outbox, entry(1, secret, conversion=b"c" * 16), entry(2, secret), entry(3, b"bob"))
    assert outbox.erase([secret, b"nobody"]) == 3
    for path in tmp_path.iterdir():
        assert secret not in path.read_bytes()
    assert offsets(outbox) == [3]
    assert b"c" * 16 not in (tmp_path / "outbox").read_bytes()
    assert outbox.damage() == []
    outbox.close()


@settings(max_examples=25)
@given(
    lanes=st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.booleans()), max_size=12),
)
def test_no_order_of_failures_lets_one_overtake_in_its_lane(
    tmp_path_factory: pytest.TempPathFactory, lanes: list[tuple[bytes, bool]]
) -> None:
    path = tmp_path_factory.mktemp("outbox") / "outbox"
    for scheme in OUTBOXES:
        outbox: Outbox = open_url("outbox", OUTBOXES, f"{scheme}:{path}")
        outbox.begin("crm", 0)
        entries = [
            entry(number, lane, LATER if waits else AT)
            for number, (lane, waits) in enumerate(lanes, 1)
        ]
        outbox.take("crm", len(entries), entries, {}, AT)
        held = set()
        expected = []
        for one in entries:
            if one.due > AT:
                held.add(one.lane)
            elif one.lane not in held:
                expected.append(one.offset)
        assert offsets(outbox) == expected
        outbox.close()


# ---------------------------------------------------------------------------- sealed


def closed(
    offset: int, destination: str = "crm", lane: bytes = b"ada", until: datetime = LATER
) -> Sealed:
    event_id = offset.to_bytes(16, "big")
    return Sealed(destination, event_id, (lane, b"more"), "2026-03-04", b"sealed", until)


def kept(outbox: Outbox, destination: str = "crm", at: datetime = AT) -> list[int]:
    ids = [number.to_bytes(16, "big") for number in range(10)]
    return [one[-1] for one in outbox.sealed(destination, ids, at)]


def test_what_is_sealed_stays_as_it_came_and_is_each_destinations_own(reopen: Open) -> None:
    outbox = reopen()
    outbox.seal([closed(1), closed(2), closed(1, "other")])
    outbox.seal([structs.replace(closed(1), content=b"again")])
    outbox.close()
    outbox = reopen()
    assert outbox.sealed("crm", [closed(1).event_id], AT) == {closed(1).event_id: closed(1)}
    assert (kept(outbox), kept(outbox, "other")) == ([1, 2], [1])
    assert outbox.needs_key("2026-03-04")
    assert not outbox.needs_key("2026-03-03")
    outbox.close()


def test_what_is_sealed_ends_with_its_event(reopen: Open) -> None:
    outbox = reopen()
    outbox.seal([closed(number) for number in range(1, 7)])
    outbox.seal([closed(number, "other") for number in range(1, 7)])
    filled(outbox, *[entry(number) for number in range(1, 6)])
    tried = entry(4, tries=1)
    outbox.settle("crm", Settled((1,), {2: "no"}, {3: "HTTP 400"}, (tried,)), Health(), AT)
    assert kept(outbox) == [4, 5, 6]
    outbox.take("crm", 6, [], {"no": 1}, AT, [closed(6).event_id])
    assert kept(outbox) == [4, 5]
    assert kept(outbox, "other") == [1, 2, 3, 4, 5, 6]
    outbox.close()


def test_what_is_sealed_expires(reopen: Open) -> None:
    outbox = reopen()
    outbox.seal([closed(1), closed(2, until=LATER + timedelta(hours=1))])
    assert kept(outbox, at=LATER) == [2]
    outbox.expire_sealed(LATER)
    assert kept(outbox) == [2]
    outbox.close()


def test_what_is_sealed_is_found_by_every_leaf_and_erased(reopen: Open, tmp_path: Path) -> None:
    outbox = reopen()
    outbox.seal([closed(1, lane=b"ada-key"), closed(2, lane=b"bob-key"), closed(1, "other")])
    assert [one.event_id[-1] for one in outbox.sealed_about([b"bob-key", b"eve"])] == [2]
    assert len(outbox.sealed_about([b"more"])) == 3
    assert outbox.erase_sealed([b"ada-key"]) == 1
    assert outbox.sealed_about([b"ada-key"]) == []
    assert kept(outbox) == [2]
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ada-key".hex().encode() not in files
    assert b"bob-key".hex().encode() in files
    outbox.close()
