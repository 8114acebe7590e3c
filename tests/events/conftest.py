from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops


@pytest.fixture
def clock() -> FixedClock:
    return shops.clock()


@pytest.fixture(scope="module")
def shop() -> Project:
    return shops.shop()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as opened, home.hold("test"):
        yield opened
