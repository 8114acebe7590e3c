"""The process beside the server: kept running, and started ever later where it fails at once."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import pytest

from liftwerk.server.compactor import beside


def test_what_fails_at_once_is_started_ever_later(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "liftwerk.server"), beside(["false"], "sorting"):
        deadline = time.monotonic() + 60
        while len(caplog.records) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    told = [record.getMessage() for record in caplog.records]
    assert [line.rpartition("again in ")[2] for line in told] == ["1 s", "2 s", "4 s"]
    assert all("ended with 1" in line for line in told)


def test_it_ends_with_the_server_and_is_not_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    note = tmp_path / "running"
    code = f"import sys; open({str(note)!r}, 'w').close(); sys.stdin.read()"
    with beside([sys.executable, "-c", code], "sorting"):
        deadline = time.monotonic() + 60
        while not note.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert caplog.records == []
