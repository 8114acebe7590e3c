"""Where kept totals cannot say what was known by now, units are counted afresh."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.metrics import follow
from liftwerk.metrics.kept import TOTALS, Folder
from liftwerk.metrics.latest import per_unit_now
from liftwerk.metrics.units import per_unit
from liftwerk.store.flock import exclusive
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events.shop import order, put
from tests.metrics.business import business
from tests.metrics.shopping import END, START, Shopping

ASKED = ["basket", "profit", "new_customers"]
PURPOSE = "measurement"
PROJECT = business()
SHOPPING = Shopping(3, people=12, orders=40)
NOW = END + timedelta(days=1)


@contextmanager
def told(folder: Path) -> Iterator[Stores]:
    with open_stores(Home.open(folder / "home", create=True)) as stores, stores.home.hold("test"):
        SHOPPING.tell(PROJECT, stores)
        yield stores


def kept(stores: Stores, now: object = NOW, name: str = "trial") -> pa.Table:
    """Ask for kept totals, and hold them to a fresh count."""
    given = (SHOPPING.spine(), ASKED, PURPOSE)
    found = per_unit_now(PROJECT, stores, name, *given, now=now)  # type: ignore[arg-type]
    assert found.equals(per_unit(PROJECT, stores, *given, now=now))  # type: ignore[arg-type]
    return found


def test_what_is_known_later_than_now_counts_later(tmp_path: Path) -> None:
    with told(tmp_path) as stores:
        before = kept(stores)
        spine = SHOPPING.spine()
        is_theirs = pa.compute.equal(spine["unit"], pa.scalar(leaf_key("device", "d3")))
        soon = spine.filter(is_theirs)["time"][0].as_py() + timedelta(hours=1)
        late = order(9001, "late", "50.00", identifiers={"device": "d3"}, time=soon.isoformat())
        assert put(PROJECT, stores, late, at=NOW + timedelta(hours=1)) == []
        compact(PROJECT, stores, FixedClock(NOW + timedelta(hours=1)))
        assert kept(stores).equals(before)
        after = kept(stores, NOW + timedelta(hours=1))
        assert not after.equals(before)
        # A past that nothing was kept of.
        kept(stores, START + timedelta(days=3))


def test_a_home_that_nothing_can_be_kept_in_is_read_afresh(tmp_path: Path) -> None:
    with told(tmp_path) as stores:
        place = stores.home.path / TOTALS
        place.write_bytes(b"")
        kept(stores)
        place.unlink()
        kept(stores)
        assert Folder(stores, "trial").read() is not None


def test_who_waits_too_long_for_another_counts_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liftwerk.metrics.kept.PATIENCE", 0.05)
    with told(tmp_path) as stores:
        kept(stores)
        page = Folder(stores, "trial").path / "kept.json"
        before = page.read_bytes()
        with exclusive(page.parent):
            kept(stores, NOW + timedelta(hours=1))
        assert page.read_bytes() == before


def test_what_a_kill_left_behind_goes_with_the_next_reading(tmp_path: Path) -> None:
    with told(tmp_path) as stores:
        kept(stores)
        folder = Folder(stores, "trial").path
        (folder / "aside-killed" / "0").mkdir(parents=True)
        (folder / "aside-killed" / "0" / "data.parquet").write_bytes(b"half")
        (folder / "half.parquet").write_bytes(b"half")
        kept(stores)
        assert not (folder / "aside-killed").exists()
        shutil.rmtree(folder)
        kept(stores)


def test_where_most_units_changed_all_are_counted_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MOST", 1)
    with told(tmp_path) as stores:
        kept(stores)
        more = [
            order(9000 + one, f"new{one}", "12.34", identifiers={"device": f"d{one}"})
            for one in range(4)
        ]
        assert put(PROJECT, stores, *more, at=END) == []
        compact(PROJECT, stores, FixedClock(END))
        kept(stores)
        page = Folder(stores, "trial").read()
        assert page is not None
        assert page.later == ()
