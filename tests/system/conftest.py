"""Real processes on real projects: a copy of the example, and a way to call the command."""

from __future__ import annotations

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


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A project whose loop has run once, and the document it printed; read-only for tests."""
    project = copy_example(tmp_path_factory.mktemp("finished") / "shop")
    done = call("run", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    return project, json.loads(done.stdout)


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
    pristine = small_example(tmp_path_factory.mktemp("small") / "shop")
    once = tmp_path_factory.mktemp("small_once") / "shop"
    shutil.copytree(pristine, once)
    done = call("run", "--json", cwd=once)
    assert done.returncode == 0, done.stderr
    return pristine, json.loads(done.stdout)
