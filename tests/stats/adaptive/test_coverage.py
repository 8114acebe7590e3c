"""A fixed-seed part of the map that `soak/adaptive.py` draws with 2,000 logs a cell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from tests.stats.adaptive.cells import Cell, read, read_daily

LOGS = 120
CELLS = (
    Cell("nothing_works", "noise", "thompson", contextual=True, batches=25, size=100),
    Cell("harm", "noise", "epsilon_greedy", batches=25, size=100, floor=0.3, decay=0.3),
    Cell("nothing_works", "click", "thompson", batches=25),
)


@pytest.mark.slow
def test_weighted_intervals_cover_where_the_usual_ones_do_not():
    found = {cell.name: read(cell, 2, LOGS) for cell in CELLS}
    ours = [
        one
        for methods in found.values()
        for what, one in methods.items()
        if what.startswith("weighted")
    ]
    assert len(ours) == 5 * len(CELLS)
    for one in ours:
        least = binom.ppf(0.05 / len(ours), one["answered"], 0.95) / one["answered"]
        assert one["covered"] >= least
        assert one["unknown"] <= 0.1
    # By segment, who got which arm is not by lot: the means differ though the arms do not.
    assert found[CELLS[0].name]["naive difference c"]["covered"] < 0.7
    narrower = [
        methods["weighted difference c"]["width"] / methods["aipw difference c"]["width"]
        for methods in found.values()
    ]
    assert max(narrower) < 1.02
    assert np.median(narrower) < 0.95


@pytest.mark.slow
def test_anytime_intervals_hold_at_every_look_where_the_usual_one_does_not():
    cell = Cell("nothing_works", "noise", "epsilon_greedy", batches=14, floor=0.3)
    found = read_daily(cell, 3, 100, 14)
    assert found["answered_at_the_end"] == 1.0
    assert found["anytime_held_at_all_looks"] >= binom.ppf(0.01, 100, 0.95) / 100
    assert found["naive_held_at_all_looks"] < 0.89
