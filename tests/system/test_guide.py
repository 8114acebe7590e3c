"""The guide "Move your tracking": run word by word, in order, and held to what it shows."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from tests.system.test_readme import environment

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "move-your-tracking.md"
STEP = re.compile(r"^```bash\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
MARK = "@@ step"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def steps() -> list[tuple[str, str]]:
    return STEP.findall(GUIDE.read_text(encoding="utf-8"))


def run(folder: Path) -> list[str]:
    """Run all that a reader is told to run, in one shell; returns what each step printed."""
    # At its end a reader closes the terminal, and what runs in it ends.
    script = "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"
    script += "".join(f"echo '{MARK}'\n{commands}" for commands, _ in steps())
    ports = {told: str(free_port()) for told in ("8080", "9090")}  # two runs at once do not meet
    for told, port in ports.items():
        script = script.replace(told, port)
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**environment(), "COLUMNS": "100", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=900)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for told, port in ports.items():
        said = said.replace(f"127.0.0.1:{port}", f"127.0.0.1:{told}")
    return said.split(f"{MARK}\n")[1:]


def looks_like(shown: str, said: str) -> bool:
    """Compare what the page shows with what was printed.

    ``…`` stands for anything in a line, and alone in a line for any lines.
    """
    pattern = ""
    for line in shown.strip().splitlines():
        words = ".*".join(re.escape(part) for part in line.rstrip().split("…"))
        pattern += "(?:.*\n)*" if line == "…" else f"{words}\n"
    lines = "".join(f"{line.rstrip()}\n" for line in said.strip().splitlines())
    return re.fullmatch(pattern, lines) is not None


def test_the_guide_is_true_word_by_word(tmp_path: Path) -> None:
    said = run(tmp_path)
    for (commands, shown), printed in zip(steps(), said, strict=False):
        assert looks_like(shown, printed), f"{commands}\n{printed}"
    assert len(said) == len(steps()), said[-1]


def test_no_command_is_outside_what_is_run() -> None:
    page = GUIDE.read_text(encoding="utf-8")
    assert len(steps()) == page.count("```bash\n") >= 10
    shown = [text for _, text in steps() if text]
    assert len(shown) >= 10
