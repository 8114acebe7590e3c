"""A value that is read beside the work: never older than it may be, and nobody waits for it."""

from __future__ import annotations

import threading
import time

import pytest

from liftwerk.errors import StoreFault
from liftwerk.events.refreshed import Refreshed


def test_it_is_read_again_by_a_thread_of_its_own() -> None:
    readers: list[int] = []
    again = threading.Event()

    def load() -> int:
        readers.append(threading.get_ident())
        if len(readers) > 2:
            again.set()
        return len(readers)

    kept = Refreshed(load, seconds=0.02)
    assert again.wait(30)
    kept.close()
    assert readers[0] == threading.get_ident()
    assert threading.get_ident() not in readers[1:]


def test_where_it_cannot_be_read_in_time_whoever_asks_is_told() -> None:
    failing = threading.Event()

    def load() -> str:
        if failing.is_set():
            raise StoreFault("the disk is full", "ledger.sqlite")
        return "read"

    kept = Refreshed(load, seconds=0.02)
    failing.set()
    time.sleep(0.05)  # older than it may be, however often the thread has tried
    with pytest.raises(StoreFault, match="the disk is full"):
        kept.value()
    failing.clear()
    assert kept.value() == "read"
    kept.close()
