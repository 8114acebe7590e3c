"""The page about the inventory tells what the command prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock, SystemClock
from liftwerk.definitions import load
from liftwerk.events.admit import admit
from liftwerk.events.compact import compact
from liftwerk.events.schema import schema_of
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import open_stores
from tests.events.shop import event, granted, put

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "inventory.md"


def test_the_page_shows_what_the_command_prints(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    declared = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    printed = re.search(r"\$ liftwerk inventory --gaps\n(.*?)```", text, re.DOTALL)
    assert declared is not None
    assert printed is not None
    (tmp_path / "liftwerk.toml").write_text(declared[1], encoding="utf-8")
    project = load(tmp_path, SECTIONS)
    now = SystemClock().now()
    with open_stores(Home.of(project, create=True)) as stores, stores.home.hold("test"):
        earlier = now - timedelta(hours=8, minutes=10)
        agreed = granted("ads")
        visitor = {"cookie": "c"}
        orders = [
            event(
                "order_completed",
                number,
                version=1,
                consent=agreed,
                identifiers=names,
                properties={"order_id": f"o{number}", "revenue": "9.99"},
            )
            for number, names in ((1, visitor), (2, {"email": "ada@example.com"}))
        ]
        known = [event(number=3, consent=agreed), event(number=4)]
        assert put(project, stores, *orders, source="app", at=earlier) == []
        assert put(project, stores, *known, source="web", at=now) == []
        bodies = [b'{"name":"order_complete"}', b'{"name":"page_viewed","utm_medium":1}']
        refused = admit(bodies, schema_of(project), "web", now).refused
        stores.inbox.quarantine_put(
            [Rejected("web", now, one.reason, one.path, bodies[one.index]) for one in refused]
        )
        compact(project, stores, FixedClock(now))
    command = [sys.executable, "-m", "liftwerk.cli", "inventory", "--gaps"]
    done = subprocess.run(
        [*command, "--project", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert done.returncode == 1, done.stderr
    assert [line.rstrip() for line in done.stdout.splitlines()] == printed[1].splitlines()
