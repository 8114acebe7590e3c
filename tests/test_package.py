"""What an installed liftwerk consists of."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = "src/liftwerk/definitions/templates/hillstrom"


def tracked(folder: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel and return the names in it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_wheel_holds_every_file_of_the_package(wheel: set[str]) -> None:
    files = tracked("src/liftwerk") - {EXAMPLE}
    assert {name.removeprefix("src/") for name in files} <= wheel


def test_wheel_holds_the_example_with_its_data(wheel: set[str]) -> None:
    place = EXAMPLE.removeprefix("src/")
    names = {name.removeprefix("examples/hillstrom") for name in tracked("examples/hillstrom")}
    assert "/liftwerk.toml" in names
    assert {f"{place}{name}" for name in names} <= wheel


def test_wheel_holds_nothing_that_a_run_left_behind(wheel: set[str]) -> None:
    left = (".liftwerk", "__pycache__", ".pyc")
    assert [name for name in wheel if any(mark in name for mark in left)] == []
