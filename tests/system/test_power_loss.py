"""What a store acknowledged is there after a power cut; with less syncing it would not be."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftwerk.store.home import DATABASES
from tests.system.power_cut import cut_often
from tests.system.power_work import WORK

CUTS = 250  # a store; the soak makes 10,000


@pytest.mark.slow
@pytest.mark.parametrize("store", WORK)
def test_no_acknowledged_row_is_lost(store: str, tmp_path: Path) -> None:
    tally = cut_often(store, CUTS, seed=1, folder=tmp_path)
    assert tally.wrong == ()
    assert (tally.cuts, tally.lost_rows) == (CUTS, 0)


@pytest.mark.slow
@pytest.mark.parametrize("store", WORK)
def test_the_test_would_notice_missing_syncs(store: str, tmp_path: Path) -> None:
    tally = cut_often(store, 60, seed=1, folder=tmp_path, synchronous="normal")
    # never torn, but acknowledged rows are gone in about half of the cuts
    assert tally.wrong == ()
    assert tally.cuts_with_loss > 15


@pytest.mark.slow
def test_the_test_would_notice_torn_files(tmp_path: Path) -> None:
    tally = cut_often("inbox", 60, seed=1, folder=tmp_path, synchronous="off")
    assert tally.wrong != ()


def test_every_database_of_a_home_is_cut() -> None:
    assert {Path(name).stem for name in DATABASES} <= set(WORK)


def test_a_few_cuts_in_every_run(tmp_path: Path) -> None:
    for store in WORK:
        tally = cut_often(store, 10, seed=2, folder=tmp_path)
        assert (tally.lost_rows, tally.wrong) == (0, ())
