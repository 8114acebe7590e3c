"""Every kind of inbox keeps the promises of `liftwerk.store.inbox.Inbox`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest

from liftwerk.store.inbox import INBOXES, Inbox, Rejected
from liftwerk.store.urls import open_url

Open = Callable[[], Inbox]
RECEIVED = 1_772_357_400_123_456


@pytest.fixture(params=sorted(INBOXES))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return lambda: open_url("inbox", INBOXES, f"{request.param}:{tmp_path / 'inbox'}")


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
    with pytest.raises(Exception, match="CHECK"):
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


def test_erased_bytes_are_in_no_file(reopen: Open, tmp_path: Path) -> None:
    inbox = reopen()
    secret = b"jane.doe@example.org"
    inbox.append([row(1, b"keep"), row(2, b'{"mail":"' + secret + b'"}'), row(3, secret * 3000)])
    assert any(secret in path.read_bytes() for path in tmp_path.iterdir())
    assert inbox.erase([2, 3, 99]) == 2
    assert not any(secret in path.read_bytes() for path in tmp_path.iterdir())
    assert inbox.read(0, 10).column("body").to_pylist() == [b"keep"]
    inbox.close()


def test_trimmed_bytes_are_gone_after_an_erasure_that_finds_nothing(
    reopen: Open, tmp_path: Path
) -> None:
    inbox = reopen()
    secret = b"jane.doe@example.org"
    inbox.append([row(1, secret)])
    inbox.trim(1, RECEIVED + 10)
    assert inbox.erase([]) == 0
    assert not any(secret in path.read_bytes() for path in tmp_path.iterdir())
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


def test_quarantine_parts_are_not_confused() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert Rejected("a", at, "bc", "", b"").key != Rejected("ab", at, "c", "", b"").key


def test_erased_quarantine_is_in_no_file(reopen: Open, tmp_path: Path) -> None:
    inbox = reopen()
    secret = b"jane.doe@example.org"
    inbox.quarantine_put([rejected("row 1", secret), rejected("row 2")])
    (number,) = [one.number for one in inbox.quarantine_list() if one.rejected.body == secret]
    assert inbox.quarantine_erase([number]) == 1
    assert not any(secret in path.read_bytes() for path in tmp_path.iterdir())
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
