from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from liftwerk.clock import FixedClock
from liftwerk.store.home import Home
from liftwerk.store.inbox.kinds.postgresql import PostgresqlInbox
from tests.postgresql import PostgresqlServer


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 3, 1, 9, 30, tzinfo=UTC))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home", create=True)


@pytest.fixture
def admin(postgresql: PostgresqlServer) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Return a connection of the test's own to what the inboxes use."""
    with postgresql.connect() as connection:
        yield connection


@pytest.fixture
def inboxes(postgresql_url: str) -> Iterator[Any]:
    """Open as many as a test wants, each with connections of its own."""
    with ExitStack() as opened:

        def opener() -> PostgresqlInbox:
            inbox = PostgresqlInbox(postgresql_url)
            opened.callback(inbox.close)
            return inbox

        yield opener
