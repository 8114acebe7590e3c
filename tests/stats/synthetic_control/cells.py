"""Cells of the coverage map for geo tests: what the reading says of tests with known truth.

`KNOWN` are worlds that were known when the reading's limits were set; `UNSEEN` and `CONFIRMING`
(`liftwerk.simulation.geo_unseen`) were written down, with the designs, the effects, the seed and
the number of draws, before the first of their results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from liftwerk.simulation import geo_trial
from liftwerk.simulation.geo_trial import GeoTrial
from liftwerk.simulation.geo_unseen import FIRST, SECOND, UnseenWorld
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.synthetic_control import Measured, Panel, measure
from liftwerk.stats.synthetic_control.placebo import unrest
from tests.stats.coverage import Draw, Played, World

DRAWS = 400
LEVELS = {"conformal": 0.95, "conformal, 90%": 0.90}
LIFT = 0.10


@dataclass(frozen=True)
class Design:
    """Markets in all, treated ones, days before the test and of it."""

    markets: int
    treated: int
    before: int
    during: int

    @property
    def words(self) -> str:
        return f"{self.treated} of {self.markets} markets, {self.before} + {self.during} days"


USUAL = Design(20, 2, 60, 14)
FEW, FEWEST = Design(10, 1, 35, 7), Design(7, 2, 42, 14)
TOO_SHORT = Design(7, 2, 28, 14)
LONGEST = Design(15, 1, 60, 20)
LARGE, YEAR = Design(30, 3, 90, 21), Design(25, 2, 182, 28)
UNSEEN_DESIGNS = (FEWEST, USUAL, FEW, LONGEST, LARGE, YEAR)
"""The fewest markets that are answered; the usual test; few markets and a short history; the
longest that is answered; many markets; as much history as is read from the project's events."""


def known(world: str, design: Design, effect: float, rng: np.random.Generator) -> GeoTrial:
    """Draw a test in a world that was known."""
    drawing = replace(geo_trial.WORLDS[world], lift=effect)
    return drawing.draw(rng, **vars(design))


def unseen(world: UnseenWorld, design: Design, effect: float, rng: np.random.Generator) -> GeoTrial:
    """Draw a test in a world that was not."""
    return world.draw(rng, **vars(design), lift=effect)


def play(draw: partial[GeoTrial], rng: np.random.Generator) -> Draw:
    """Read one test at each level."""
    trial = draw(rng)
    panel = Panel(trial.outcome[:, trial.treated], trial.outcome[:, ~trial.treated], trial.before)
    drift = _drift(panel.donors.tobytes(), panel.donors.shape, panel.before)
    return {
        design: _judge(measure(panel, level, unrest=drift), trial.effect, level)
        for design, level in LEVELS.items()
    }


@lru_cache(maxsize=2 * DRAWS)
def _drift(donors: bytes, shape: tuple[int, int], before: int) -> float:
    """Ask once for both levels, and with and without an effect: others are the same markets."""
    others = np.frombuffer(donors).reshape(shape)
    return unrest(Panel(others[:, :1], others, before))


def _judge(found: Measured, truth: float, level: float) -> Played:
    chance = round(1.0 - level, 9)
    if isinstance(found.answer, Unknown):
        return Played(False, True, float("nan"), chance)
    low, high = found.answer.low, found.answer.high
    # The interval leaves 0 out exactly where the p-value says so.
    assert found.p_value is not None
    assert (low <= 0.0 <= high) == (found.p_value > chance), (low, high, found.p_value)
    return Played(True, low <= truth <= high, high - low, chance)


def _known() -> Iterator[World]:
    everywhere = ("plain", "autocorrelated", "trends")
    for design, worlds in (
        (USUAL, tuple(geo_trial.WORLDS)),
        (Design(30, 3, 90, 14), tuple(geo_trial.WORLDS)),
        (Design(30, 2, 90, 28), everywhere),
        (Design(15, 1, 28, 7), everywhere),
        (Design(20, 1, 60, 1), everywhere),
    ):
        for name in worlds:
            if name == "nothing_works":
                continue
            for effect in (0.0, geo_trial.WORLDS[name].lift):
                playing = partial(play, partial(known, name, design, effect))
                yield World("geo", f"{name}, {design.words}", effect, True, playing, DRAWS)


def _unseen(table: str, worlds: Mapping[str, UnseenWorld]) -> Iterator[World]:
    for design in UNSEEN_DESIGNS:
        for name, world in worlds.items():
            for effect in (0.0, LIFT):
                playing = partial(play, partial(unseen, world, design, effect))
                # They may be answered by Unknown: how often they are is published, too.
                yield World(table, f"{name}, {design.words}", effect, False, playing, DRAWS)


KNOWN = tuple(_known())
UNSEEN = tuple(_unseen("geo unseen", FIRST))
CONFIRMING = tuple(_unseen("geo confirming", SECOND))
