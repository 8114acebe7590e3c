"""Training sets that were taken during a year are made again at its end, to the last byte."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.system.year import Year

pytestmark = pytest.mark.slow


def test_every_set_of_a_year_is_made_again(tmp_path: Path) -> None:
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        folder = tmp_path / "sets"
        folder.mkdir()
        year = Year(stores, folder, random.Random(2026), events=900, sets=200, erasures=4)
        year.live()
        counts = year.check()
    assert counts["sets"] == 200
    assert counts["erasures"] == 4
    assert counts["sets equal to the last byte"] > 100, counts
    assert counts["rows of the erased"] > 50, counts
    assert counts["sets with erased customers and the rest equal"] > 10, counts
    assert counts["rows with a value"] > counts["rows compared"] / 4, counts
    # What is known today would make others of them.
    assert counts["sets that are others today"] > counts["sets held against today"] / 5, counts
    assert min(counts[kind] for kind in ("late", "repeated", "identity_unlinked")) > 20, counts
