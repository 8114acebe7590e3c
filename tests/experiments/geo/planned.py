"""Geo tests read after the plan that was made for them: how often each sees the effect."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from liftwerk.experiments.geo.markets import Markets
from liftwerk.experiments.geo.measured import HISTORY_DAYS
from liftwerk.experiments.planning.cells import GeoTest
from liftwerk.simulation.geo_trial import WORLDS
from liftwerk.stats.synthetic_control import Panel, measure

FIRST = date(2025, 1, 1)
HISTORY = 210
LIFTED = 2
"""Markets that are treated."""


class Run(NamedTuple):
    """What was planned, and what was read.

    Attributes
    ----------
    planned : float
        The power by the plan.
    seen, asked : int
        Tests that saw the effect, of how many.
    """

    planned: float
    seen: int
    asked: int


def run(world: str, seed: int, effect: float, days: int, tests: int, markets: int = 10) -> Run:
    """Plan on a history, and read tests one after the other in the time that follows.

    Parameters
    ----------
    world : str
        Of `WORLDS`; its own effect is left out.
    seed : int
    effect : float
        That is put in.
    days : int
        Of each test.
    tests : int
    markets : int

    Returns
    -------
    Run
    """
    trial = WORLDS[world].draw(
        np.random.default_rng(seed),
        markets=markets,
        treated=LIFTED,
        before=HISTORY,
        during=days * tests,
    )
    names = tuple(f"m{place:02}" for place in range(markets))
    stamps = np.array([FIRST + timedelta(days=place) for place in range(HISTORY)])
    past = Markets(names, stamps.astype("datetime64[D]"), trial.untreated[:HISTORY], None, "drawn")
    chosen = np.flatnonzero(trial.treated)
    cells = {"new": tuple(names[place] for place in chosen)}
    planned = GeoTest(past, cells, effect, 0.95, 0.8).of(days).power
    seen = 0
    for place in range(tests):
        end = HISTORY + (place + 1) * days
        rows = trial.untreated[end - days - HISTORY_DAYS : end]
        treated = rows[:, chosen].copy()
        treated[-days:] *= 1.0 + effect
        found = measure(Panel(treated, np.delete(rows, chosen, axis=1), HISTORY_DAYS))
        if found.p_value is not None:
            seen += found.p_value <= 0.05
    return Run(planned, seen, tests)
