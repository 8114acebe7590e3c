"""Every kind of inbox keeps the promises of `liftwerk.store.inbox.Inbox`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pytest

from liftwerk.store.inbox import INBOXES, Inbox, QuarantineGroup, Rejected
from liftwerk.store.urls import open_url

pytestmark = pytest.mark.slow

Open = Callable[[], Inbox]
Search = Callable[[bytes], bool]
RECEIVED = 1_772_357_400_123_456


@pytest.fixture(params=sorted(INBOXES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reopen(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    url = f"{kind}:{tmp_path / 'inbox'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    with ExitStack() as opened:

        def reopened() -> Inbox:
            inbox: Inbox = open_url("inbox", INBOXES, url)
            opened.callback(inbox.close)
            return inbox

        yield reopened


@pytest.fixture
def in_a_file(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Search:
    """Say whether some bytes are in a file: of a server, in one of the tables' files."""
    if kind == "postgresql":
        search: Search = request.getfixturevalue("postgresql").holds
        return search
    return lambda secret: any(secret in path.read_bytes() for path in tmp_path.iterdir())


def row(number: int, body: bytes = b"{}") -> tuple[bytes, str, int, bytes]:
    return (number.to_bytes(16, "big"), "visit", RECEIVED + number, body)


def test_rows_come_back_in_order_with_their_offsets(reopen: Open) -> None:
    inbox = reopen()
    assert list(inbox.append([row(1), row(2)])) == [1, 2]
    assert list(inbox.append([row(3, b'{"a":1}')])) == [3]
    table = inbox.read(after=1, limit=10)
    assert table.schema.field("event_id").type == pyarrow.binary(16)
    assert table.to_pylist() == [
        {
            "offset": 2,
            "event_id": (2).to_bytes(16, "big"),
            "name": "visit",
            "received": datetime(2026, 3, 1, 9, 30, 0, 123458, tzinfo=UTC),
            "body": b"{}",
        },
        {
            "offset": 3,
            "event_id": (3).to_bytes(16, "big"),
            "name": "visit",
            "received": datetime(2026, 3, 1, 9, 30, 0, 123459, tzinfo=UTC),
            "body": b'{"a":1}',
        },
    ]
    assert inbox.read(after=0, limit=2).column("offset").to_pylist() == [1, 2]
    assert inbox.read(after=3, limit=2).num_rows == 0
    inbox.close()


def test_what_was_appended_is_there_after_reopening(reopen: Open) -> None:
    inbox = reopen()
    inbox.append([row(1)])
    inbox.close()
    again = reopen()
    assert again.count() == 1
    assert again.last_offset() == 1
    again.close()


def test_nothing_appended_is_an_empty_range(reopen: Open) -> None:
    inbox = reopen()
    assert list(inbox.append([])) == []
    inbox.append([row(1)])
    assert list(inbox.append([])) == []
    assert inbox.last_offset() == 1
    inbox.close()


def test_a_batch_is_whole_or_not_there(reopen: Open) -> None:
    inbox = reopen()
    with pytest.raises(Exception, match=r"CHECK|16 bytes"):
        inbox.append([row(1), (b"short", "visit", RECEIVED, b"{}")])
    assert inbox.count() == 0
    assert list(inbox.append([row(1)])) == [1]
    inbox.close()


def test_an_offset_is_never_given_twice(reopen: Open) -> None:
    inbox = reopen()
    inbox.append([row(number) for number in range(10)])
    assert inbox.trim(up_to=10, received_before_us=RECEIVED + 100) == 10
    assert inbox.last_offset() == 10
    inbox.close()
    again = reopen()
    assert list(again.append([row(11)])) == [11]
    again.close()


def test_trim_respects_both_ends(reopen: Open) -> None:
    inbox = reopen()
    inbox.append([row(number) for number in range(1, 11)])
    assert inbox.trim(up_to=5, received_before_us=RECEIVED + 3) == 2
    assert inbox.read(0, 100).column("offset").to_pylist() == [3, 4, 5, 6, 7, 8, 9, 10]
    inbox.close()


def test_an_id_may_come_twice(reopen: Open) -> None:
    inbox = reopen()
    inbox.append([row(1), row(1)])
    assert inbox.count() == 2
    inbox.close()


def test_erased_bytes_are_in_no_file(reopen: Open, in_a_file: Search) -> None:
    inbox = reopen()
    secret = b"jane.doe@example.org"
    inbox.append([row(1, b"keep"), row(2, b'{"mail":"' + secret + b'"}'), row(3, secret * 3000)])
    assert in_a_file(secret)
    assert inbox.erase([2, 3, 99]) == 2
    assert not in_a_file(secret)
    assert inbox.read(0, 10).column("body").to_pylist() == [b"keep"]
    inbox.close()


def test_replaced_bodies_are_in_no_file(reopen: Open, in_a_file: Search) -> None:
    inbox = reopen()
    secret = b"jane.doe@example.org"
    inbox.append([row(1, b"keep"), row(2, secret * 3000), row(3, b'{"mail":"' + secret + b'"}')])
    before = inbox.read(0, 10).drop_columns("body")
    assert in_a_file(secret)
    assert inbox.replace({2: b"two", 3: b'{"mail":""}', 99: b"nobody's"}) == 2
    assert not in_a_file(secret)
    after = inbox.read(0, 10)
    assert after.column("body").to_pylist() == [b"keep", b"two", b'{"mail":""}']
    assert after.drop_columns("body").equals(before)
    assert inbox.replace({}) == 0
    assert list(inbox.append([row(4)])) == [4]
    assert inbox.damage() == []
    inbox.close()


def test_trimmed_bytes_are_gone_after_an_erasure_that_finds_nothing(
    reopen: Open, in_a_file: Search
) -> None:
    inbox = reopen()
    secret = b"jane.doe@example.org"
    inbox.append([row(1, secret)])
    inbox.trim(1, RECEIVED + 10)
    assert inbox.erase([]) == 0
    assert not in_a_file(secret)
    inbox.close()


def rejected(detail: str, body: bytes = b"{broken") -> Rejected:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Rejected("web", at, "not JSON", detail, body)


def test_quarantine_keeps_each_rejection_once(reopen: Open) -> None:
    inbox = reopen()
    assert inbox.quarantine_put([rejected("row 1"), rejected("row 2")]) == 2
    assert inbox.quarantine_put([rejected("row 1"), rejected("row 3")]) == 1
    listed = inbox.quarantine_list()
    assert [one.rejected.detail for one in listed] == ["row 1", "row 2", "row 3"]
    assert listed[0].rejected == rejected("row 1")
    after = inbox.quarantine_list(after=listed[0].number, limit=1)
    assert [one.rejected.detail for one in after] == ["row 2"]
    assert inbox.quarantine_count() == {"not JSON": 3}
    inbox.close()


def test_any_text_can_be_quarantined(reopen: Open) -> None:
    inbox = reopen()
    assert inbox.quarantine_put([rejected("row \x00", b"\x00"), rejected("row ∎ 𝄞", b"\xff")]) == 2
    assert inbox.quarantine_put([rejected("row \x00", b"\x00")]) == 0
    assert [one.rejected.body for one in inbox.quarantine_list()] == [b"\x00", b"\xff"]
    assert inbox.quarantine_list()[1].rejected.detail == "row ∎ 𝄞"
    inbox.close()


def test_what_is_whole_is_not_called_damaged(reopen: Open) -> None:
    inbox = reopen()
    assert inbox.damage() == []
    inbox.append([row(number, b"x" * 5000) for number in range(20)])
    inbox.quarantine_put([rejected("row 1")])
    inbox.scrub()
    assert inbox.damage() == []
    assert (inbox.count(), inbox.quarantine_count()) == (20, {"not JSON": 1})
    inbox.close()


def test_quarantine_is_grouped_without_its_bodies(reopen: Open) -> None:
    inbox = reopen()
    at = datetime(2026, 3, 1, tzinfo=UTC)
    hours = [at + timedelta(hours=number) for number in range(6)]
    put = [
        Rejected("web", hours[2], "b", "1", b"x"),
        Rejected("till", hours[1], "b", "2", b"x"),
        Rejected("web", hours[0], "b", "3", b"x"),
        Rejected("web", hours[3], "a", "4", b"x"),
        Rejected("web", hours[5], "b", "5", b"x"),
    ]
    inbox.quarantine_put(put)
    numbers = {one.rejected.detail: one.number for one in inbox.quarantine_list()}
    assert inbox.quarantine_groups(2) == [
        QuarantineGroup("a", "web", 1, hours[3], hours[3], (numbers["4"],)),
        QuarantineGroup("b", "till", 1, hours[1], hours[1], (numbers["2"],)),
        QuarantineGroup("b", "web", 3, hours[0], hours[5], (numbers["1"], numbers["3"])),
    ]
    assert [group.examples for group in inbox.quarantine_groups(0)] == [(), (), ()]
    inbox.close()


def test_quarantine_parts_are_not_confused() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert Rejected("a", at, "bc", "", b"").key != Rejected("ab", at, "c", "", b"").key


def test_erased_quarantine_is_in_no_file(reopen: Open, in_a_file: Search) -> None:
    inbox = reopen()
    secret = b"jane.doe@example.org"
    inbox.quarantine_put([rejected("row 1", secret), rejected("row 2")])
    (number,) = [one.number for one in inbox.quarantine_list() if one.rejected.body == secret]
    assert inbox.quarantine_erase([number]) == 1
    assert not in_a_file(secret)
    assert inbox.quarantine_count() == {"not JSON": 1}
    inbox.close()


def test_a_reader_by_offset_misses_nothing_while_many_write(reopen: Open) -> None:
    inbox = reopen()
    batches, writers, size = 20, 3, 7
    wrong: list[str] = []

    def write(writer: int) -> None:
        for batch in range(batches):
            offsets = inbox.append(
                [row(writer * 10_000 + batch * 100 + place) for place in range(size)]
            )
            if len(offsets) != size:
                wrong.append(f"{writer}/{batch}: {offsets}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    while len(seen) < batches * writers * size:
        after = 0
        if seen:
            after = seen[-1]
        new = inbox.read(after, 1000).column("offset").to_pylist()
        if not new and not any(thread.is_alive() for thread in threads):
            new = inbox.read(after, 1000).column("offset").to_pylist()
            if not new:
                break
        seen.extend(new)
    for thread in threads:
        thread.join()
    assert wrong == []
    assert seen == list(range(1, batches * writers * size + 1))
    inbox.close()
