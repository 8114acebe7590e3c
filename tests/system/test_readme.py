"""The README's tour, executed word by word, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
SERVES = re.compile(r"^liftwerk serve\b.*$", flags=re.MULTILINE)
SERVING_SECONDS = 60

pytestmark = pytest.mark.slow


def tour() -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))


def environment() -> dict[str, str]:
    """Return what a reader has who activated the environment."""
    programs = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def test_the_tour_shows_what_the_package_does() -> None:
    text = "".join(block for _, block in tour())
    for command in (
        "demo",
        "status",
        "policies",
        "decide",
        "decisions",
        "release",
        "sql",
        "init",
        "features",
        "metrics",
        "experiment",
    ):
        assert f"liftwerk {command}" in text
    assert {kind for kind, _ in tour()} == {"bash", "python"}


def test_the_tour_runs_word_by_word(tmp_path: Path) -> None:
    commands = "".join(block for kind, block in tour() if kind == "bash")
    # A reader stops the server by hand; here it is left where the tour names it and tried below.
    served = SERVES.findall(commands)
    assert len(served) == 1
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", SERVES.sub("pwd > ../served-from", commands)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    project = Path((tmp_path / "served-from").read_text().strip())
    serve(served[0], project)

    for block in (block for kind, block in tour() if kind == "python"):
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def serve(command: str, project: Path) -> None:
    """Run a command that serves until it says where, then stop it as a reader would."""
    said = project.parent / "serve.log"
    with said.open("w") as log:
        # A free port, so that two runs at once do not meet.
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command} --port 0"],
            cwd=project,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + SERVING_SECONDS
        while "http://" not in said.read_text():
            assert server.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        os.killpg(server.pid, signal.SIGINT)
        assert server.wait(timeout=30) in (0, 130), said.read_text()
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
