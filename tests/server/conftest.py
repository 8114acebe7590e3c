"""An application over the made-up trial, in process and as a real server."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from litestar.testing import TestClient

from liftwerk.server.app import create_app
from tests.server.trial import TrialSource, report

ROOT = Path(__file__).parents[2]

SERVE = """
from liftwerk.server.serve import serve
from tests.server import trial
made = {made}
serve(lambda: trial.{source}(made), host={host!r}, port=0, names={names!r})
"""


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = create_app(lambda: TrialSource(report()))
    with TestClient(app=app, base_url="http://127.0.0.1") as client:
        yield client


@contextmanager
def running(
    made: str = "trial.report()",
    host: str = "127.0.0.1",
    source: str = "TrialSource",
    names: tuple[str, ...] = (),
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a real server over the made-up trial; give its address and process."""
    code = SERVE.format(made=made, host=host, source=source, names=names)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            yield address, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


@pytest.fixture(scope="session")
def serve_report() -> Iterator[Callable[[str], str]]:
    """Start a server for an expression that makes a report; each is started once."""
    stack = []
    addresses: dict[str, str] = {}

    def start(made: str = "trial.report()") -> str:
        if made not in addresses:
            context = running(made)
            address, _ = context.__enter__()
            stack.append(context)
            addresses[made] = address
        return addresses[made]

    yield start
    for context in stack:
        context.__exit__(None, None, None)
