"""Real processes on real projects: a copy of the example, and a way to call the command."""

from __future__ import annotations

import fcntl
import gzip
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "hillstrom"

Run = Callable[..., subprocess.CompletedProcess[str]]


def call(*arguments: object, cwd: Path, env: dict[str, str] | None = None, timeout: float = 300):
    """Run ``liftwerk ARGUMENTS`` in a folder, as a user would."""
    surroundings = {**os.environ, "COLUMNS": "120", **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "liftwerk.cli", *map(str, arguments)],
        cwd=cwd,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def copy_example(target: Path) -> Path:
    """Copy the Hillstrom project, without any home left in it."""
    shutil.copytree(EXAMPLE, target, ignore=shutil.ignore_patterns(".liftwerk"))
    return target


def run_once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]
) -> tuple[Path, dict[str, Any]]:
    """Run a project's loop in the first test process that asks, and copy it for the others."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all processes of this run
    first, told = folder / f"{name}-first", folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            shutil.rmtree(first, ignore_errors=True)
            done = call("run", "--json", cwd=make(first))
            assert done.returncode == 0, done.stderr
            told.write_text(done.stdout)
    return shutil.copytree(first, factory.mktemp(name) / "shop"), json.loads(told.read_text())


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A project whose loop has run once, and the document it printed; read-only for tests."""
    return run_once(tmp_path_factory, "finished", copy_example)


@pytest.fixture
def copied(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of the finished project that a test may change."""
    target = tmp_path / "shop"
    shutil.copytree(finished[0], target)
    return target


SMALL_ROWS = 3000


def small_example(target: Path) -> Path:
    """Copy the project with only the file's first rows, where many runs are needed."""
    copy_example(target)
    data = target / "data" / "hillstrom.csv.gz"
    with gzip.open(data, "rt") as whole:
        head = list(itertools.islice(whole, SMALL_ROWS + 1))
    with gzip.open(data, "wt") as cut:
        cut.writelines(head)
    return target


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The small project as it is before any run, and the document that a whole run prints."""
    _, told = run_once(tmp_path_factory, "small_once", small_example)
    return small_example(tmp_path_factory.mktemp("small") / "shop"), told
