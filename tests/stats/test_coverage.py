"""A part of the coverage map with fixed seeds; `soak/experiments_coverage.py` makes all of it."""

from __future__ import annotations

import numpy as np
import pytest

from liftwerk.simulation.experiments import draw_units
from liftwerk.stats.difference.methods.fixed import Fixed
from liftwerk.stats.moments import Moments
from tests.stats import coverage
from tests.stats.coverage import Cell, play
from tests.stats.switchback import cells as switchback
from tests.stats.synthetic_control import cells as geo

pytestmark = pytest.mark.slow

WORLDS = (*coverage.WORLDS, *switchback.WORLDS, *switchback.UNSEEN, *geo.UNSEEN)
PART = {
    ("conversion 0.02, 5,000 an arm", 0.2): 150,
    ("per order, 2,500 an arm", 0.0): 150,
    ("light, 20 an arm", 0.2): 300,
    ("400 of 4,000 held out, 50% join later", 0.0): 60,
    ("novelty", 0.60): 100,
    ("4 weeks of 6 h, carry-over 4 h, washout 4 h, memory 0.6, normal", 0.05): 60,
    ("half gone in 40 minutes, 4 weeks of 6 h, washout 4 h, effect 15%", 0.15): 60,
    ("shop, 2 of 7 markets, 42 + 14 days", 0.0): 80,
}


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    found = []
    for world in WORLDS:
        draws = PART.get((world.name, world.effect))
        if draws is not None:
            found += play(world, 8, draws)
    return found


def test_intervals_cover(cells):
    judged = [cell for cell in cells if not cell.naive]
    assert {cell.table for cell in judged} == {
        "units", "clusters", "holdout", "days", "switchback", "switchback unseen", "geo unseen",
    }  # fmt: skip
    for cell in judged:
        assert cell.verdict(len(judged)) == "holds", cell


def test_naive_intervals_are_seen_to_fail(cells):
    peeked = [cell for cell in cells if cell.naive and cell.draws >= 150]
    assert {cell.design for cell in peeked} == {"naive t, daily"}
    for cell in peeked:
        assert cell.verdict(len(cells)) == "short", cell


def test_a_wrong_interval_would_be_seen(monkeypatch):
    """Intervals of 85.5% that call themselves 95%."""
    reach = Fixed.reach
    monkeypatch.setattr(Fixed, "reach", lambda law, level: reach(law, level * 0.9))
    world = next(world for world in WORLDS if world.name == "light, 20 an arm")
    cell = play(world, 8, 400)[0]
    assert cell.design == "cluster"
    assert cell.verdict(15) == "short"


def test_a_cell_that_answers_seldom_is_seen():
    silent = coverage.Cell("units", "w", "fixed", 0.0, True, 2000, 1000, 50, 1.0)
    assert silent.verdict(100) == "silent"


@pytest.mark.parametrize("metric", ["light", "per order"])
def test_moments_up_to_a_day_are_those_of_its_units(metric):
    rng = np.random.default_rng(0)
    drawn = draw_units(metric, 5000, rng, effect=0.2, orders=np.ones(1))
    came = np.arange(5000) * coverage.LOOKS // 5000
    days = coverage.up_to_days(np.vstack([drawn.outcome, drawn.before]), came, drawn.treated)
    for day in (0, 12, coverage.LOOKS - 1):
        come = came <= day
        for arm in (0, 1):
            rows = come & (drawn.treated == arm)
            plain = Moments.of(np.vstack([drawn.outcome, drawn.before])[:, rows])
            assert days.n[day, arm] == plain.n
            np.testing.assert_allclose(days.means[day, arm], plain.means)
            np.testing.assert_allclose(days.products[day, arm], plain.products)
            np.testing.assert_allclose(days.cubes[day, arm], plain.cubes, rtol=1e-6)
