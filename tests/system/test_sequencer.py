"""`events compact --every`: it ends when it is told to, and when whoever started it is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.collector import make_project


@pytest.mark.parametrize("way", ["told", "left alone"])
def test_it_ends_in_order(way: str, tmp_path: Path) -> None:
    project = make_project(tmp_path / "shop")
    command = [sys.executable, "-m", "liftwerk.cli", "events", "compact"]
    process = subprocess.Popen(
        [*command, "--every", "100ms", "--until-eof", "--project", str(project)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not _hears(process.pid):
        assert process.poll() is None
    assert process.stdin is not None
    assert process.stderr is not None
    if way == "told":
        process.send_signal(signal.SIGTERM)
    else:
        process.stdin.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()


def _hears(pid: int) -> bool:
    """Say whether a process has a handler of its own for SIGTERM by now."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)
