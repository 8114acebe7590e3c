from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.store.home import Home


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 3, 1, 9, 30, tzinfo=UTC))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home", create=True)
