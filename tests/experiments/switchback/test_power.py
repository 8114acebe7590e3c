"""What turns are planned to see is what a reading of them then sees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from liftwerk.definitions.typed import Duration
from liftwerk.errors import Refused
from liftwerk.experiments.definition import Switchback
from liftwerk.experiments.switchback.power import Turns, laid_out, other_lengths
from liftwerk.stats.switchback import effect
from tests.experiments.switchback.test_read import BERLIN, hours, switchback
from tests.stats.switchback.cells import Cell

EFFECT = 0.05
"""What the world's ``better`` adds, as a part of its level."""
HALVES = (0.5, 0.5)


def turns(
    block: str = "6h", washout: str = "0s", shares: tuple[float, float] = HALVES, weeks: int = 8
) -> Turns:
    quiet = hours(switchback(block), weeks, effect="nothing", seed=9)
    declared = Switchback(Duration(block), Duration(washout))
    return laid_out(quiet, declared, BERLIN, shares, level=0.95, wanted=0.8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (Cell("better", 2, 6, memory=0.6), {}),
        (
            Cell("better", 3, 12, carry_over=2, washout=2, memory=0.6),
            {"block": "12h", "washout": "2h"},
        ),
        (Cell("better", 2, 6, memory=0.6, share=0.25), {"shares": (0.75, 0.25)}),
    ],
    ids=["halves", "washout", "a quarter"],
)
def test_an_experiment_as_planned_sees_what_the_plan_says(cell: Cell, told: dict[str, Any]) -> None:
    laid = turns(**told)
    power, runs, rng = laid.power(7 * cell.weeks, EFFECT), 120, np.random.default_rng(2)
    assert 0.4 < power < 0.95
    seen = []
    for _ in range(runs):
        drawn, washout = cell.draw(rng), cell.washout
        p_value = effect(drawn, washout=washout, share=cell.share, rng=rng, lots=199).p_value
        seen.append(p_value is not None and p_value <= 0.05)
    assert abs(np.mean(seen) - power) < 3.3 * math.sqrt(0.25 / runs)
    nothing, simulated = laid.simulate(7 * cell.weeks, [0.0, EFFECT], runs, rng)
    assert abs(simulated - power) < 3.3 * math.sqrt(0.25 / runs)
    assert nothing <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / runs)


def test_power_and_the_least_effect_are_one_arithmetic() -> None:
    laid = turns()
    for days in (7, 30, 200):
        assert laid.power(days, laid.detectable(days)) == pytest.approx(0.8, abs=1e-6)
        assert laid.power(days, -laid.detectable(days)) == pytest.approx(0.8, abs=1e-6)
    # Beyond the history it goes on like it: four times the days, twice as sure.
    assert laid.detectable(400) == pytest.approx(laid.detectable(100) / 2.0)
    assert laid.mean == pytest.approx(100.0, rel=0.02)
    variance, explained = laid.variance
    assert variance == pytest.approx(30.0**2 / 2 + 10.0**2 / 2 + 10.0**2, rel=0.1)
    assert explained == pytest.approx((30.0**2 / 2 + 10.0**2 / 2) / variance, abs=0.05)


def test_blocks_that_are_lost_to_others_cost_power() -> None:
    half = turns(shares=(0.25, 0.25))
    assert half.detectable(28) == pytest.approx(turns().detectable(28) * math.sqrt(2.0))
    assert half.blocks(28) == 56
    (seen,) = half.simulate(28, [EFFECT], 120, np.random.default_rng(4))
    assert abs(seen - half.power(28, EFFECT)) < 3.3 * math.sqrt(0.25 / 120)


def test_a_washout_costs_what_is_not_counted() -> None:
    assert turns(washout="5h").detectable(28) > 1.2 * turns().detectable(28)


def test_too_few_blocks_see_nothing() -> None:
    laid = turns("24h")
    assert laid.power(7, EFFECT) == 0.0
    assert math.isinf(laid.detectable(7))
    assert laid.power(21, 0.5) > 0.9


def test_a_history_begins_with_a_whole_block() -> None:
    quiet = hours(switchback(), 3, effect="nothing")
    declared = Switchback(Duration("6h"))
    told = (declared, BERLIN, (0.5, 0.5))
    laid = laid_out(quiet.slice(2), *told, level=0.95, wanted=0.8)
    assert laid.series.age[0] == 0
    assert len(laid.series.value) == 3 * 168 - 6


def test_other_blocks_fit_washout_and_periods() -> None:
    lengths = [str(one.block) for one in other_lengths(Switchback(Duration("1h")))]
    assert lengths == ["30min", "15min", "2h", "4h"]
    quiet = hours(switchback(), 3, effect="nothing")
    short = Switchback(Duration("30min"))
    with pytest.raises(Refused, match="last beyond their block"):
        laid_out(quiet, short, BERLIN, (0.5, 0.5), level=0.95, wanted=0.8)
