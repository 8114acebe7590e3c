"""What every test may rely on: fixed seeds, and the programs of the machine that some need."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from tests.postgresql import NoServer, PostgresqlServer, private_server

# The same examples on every run: a failure found once is found again. The soak draws new ones.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
# `scripts/test fast` asks for the second: fewer of the same examples.
settings.register_profile("few", settings.get_profile("fixed"), max_examples=20)
settings.load_profile("fixed")


TESTS = Path(__file__).parent
SYSTEM = TESTS / "system"
FRONTEND = TESTS.parent / "frontend"

# The environment's own programs (node) come first, however the tests are started.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


LONG = (
    "decisions/test_evaluate.py",
    "system/test_time_machine.py",
    "system/test_readme.py",
    "features/test_parity.py",
    "system/test_kept_kills.py",
    "system/test_guide.py",
)
"""With a test of more than half a minute: begun first, so that none runs alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that drives the real command, server or browser: it is left out of `fast`."""
    for item in items:
        if SYSTEM in item.path.parents:
            item.add_marker(pytest.mark.slow)
    first = [TESTS / name for name in LONG]
    items.sort(key=lambda item: item.path not in first)


def need_program(name: str) -> str:
    """Return the path of a program; skip without it, or fail where CI is set."""
    path = shutil.which(name)
    if path is not None:
        return path
    return _go_without(f"{name} is missing: as root: apt-get install {name}")


def need_package(name: str) -> Path:
    """Return the folder of a package of npm; skip without it, or fail where CI is set."""
    folder = FRONTEND / "node_modules" / name
    if shutil.which("node") is not None and folder.is_dir():
        return folder
    return _go_without(f"{name} is missing: scripts/setup dev, or npm ci in frontend/")


def _go_without(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium."""
    return need_program("chromium")


@pytest.fixture(scope="session")
def strace() -> str:
    """Path of strace."""
    return need_program("strace")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server for this run alone; skipped where there is none, failed where CI is."""
    try:
        with private_server() as server:
            yield server
    except NoServer as missing:
        _go_without(str(missing))


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> str:
    """URL of a database in which nothing of ours stands yet."""
    with postgresql.connect() as connection:
        connection.execute("set client_min_messages = warning")
        connection.execute("drop schema if exists liftwerk cascade")
    return postgresql.url
