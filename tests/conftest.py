"""What every test may rely on: fixed seeds, and the programs of the machine that some need."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import settings

# The same examples on every run: a failure found once is found again. The soak draws new ones.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")


def need_program(name: str) -> str:
    """Return the path of a program; skip without it, or fail where CI is set."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is missing: as root: apt-get install {name}"
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
