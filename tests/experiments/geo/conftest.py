from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from liftwerk.experiments.geo import Markets
from liftwerk.simulation.geo_trial import WORLDS

FIRST = date(2026, 1, 1)


def drawn(world, seed, *, markets=16, treated=4, before=60, during=14):
    """A trial's markets under names, and which of them were treated."""
    trial = WORLDS[world].draw(
        np.random.default_rng(seed), markets=markets, treated=treated, before=before, during=during
    )
    names = tuple(f"m{place:02}" for place in range(markets))
    days = np.array([FIRST + timedelta(days=place) for place in range(before + during)])
    given = Markets(names, days.astype("datetime64[D]"), trial.outcome, None, "drawn")
    return trial, given, [names[place] for place in np.flatnonzero(trial.treated)]


@pytest.fixture(scope="session")
def draw():
    return drawn
