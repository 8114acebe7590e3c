"""The sequencer over an inbox on a server: nothing in it knows where the rows lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import StoreFault
from liftwerk.events.compact import CLASH, compact
from liftwerk.events.read import read
from liftwerk.events.tail import Tail
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events.shop import event, order, put, shop

pytestmark = pytest.mark.slow


def test_what_several_machines_collect_becomes_one_table(
    tmp_path: Path, postgresql_url: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTWERK_INBOX_URL", postgresql_url)
    project = shop(tmp_path, store={"inbox_env": "LIFTWERK_INBOX_URL"})
    home = Home.of(project, create=True)
    beside = Home.of(shop(tmp_path / "other", store={"inbox": postgresql_url}), create=True)
    with open_stores(home) as here, open_stores(beside) as there, home.hold("test"):
        put(project, there, order(1), order(2, order_id="o2"))
        put(project, here, order(1), event(number=3))  # sent again: its answer was lost
        put(project, there, order(2, order_id="o2", revenue="99.00"))
        assert here.inbox.last_offset() == 5
        with Tail(project, here).reading() as behind:
            rows = {name: table.num_rows for name, table in behind.tables.items()}
        assert (rows, behind.offset) == ({"order_completed_v2": 2, "page_viewed_v1": 1}, 5)

        done = compact(project, here, clock)
        assert done.events == {"order_completed": 2, "page_viewed": 1}
        assert (done.duplicates, done.quarantined) == (1, {CLASH: 1})
        assert done.snapshot is not None
        assert done.snapshot.inbox_offset == 5
        assert (there.inbox.count(), there.inbox.quarantine_count()) == (0, {CLASH: 1})
        table = read(project, here, "order_completed", "audit", ("order_id", "offset"))
        assert sorted(table.column("offset").to_pylist()) == [1, 2]

        put(project, there, order(1))  # and once more, after a snapshot
        assert compact(project, here, clock).duplicates == 1
        assert there.inbox.last_offset() == 6
        assert here.damage() == []
    assert not (home.path / "inbox.sqlite").exists()


def test_a_home_keeps_the_inbox_that_it_began_with(tmp_path: Path, postgresql_url: str) -> None:
    with open_stores(Home.of(shop(tmp_path), create=True)):
        pass
    project = shop(tmp_path, store={"inbox": postgresql_url})
    with pytest.raises(StoreFault, match="the home has an inbox of its own"):
        Home.of(project)
