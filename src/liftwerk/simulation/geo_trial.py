"""Geo tests with known truth: markets that move together, of which some get an action.

The outcome of market i on day t, had nothing been done, is

    level x size_i x (1 + trend_i x t / days + sum over k of loading_ik x factor_kt
                      + season_i(weekday) + noise_it)

with common factors (first-order autoregressions, or a random walk), loadings and seasons that
differ from market to market, and autocorrelated noise that is larger, relative to its size, in a
small market. Treated markets are drawn at random. From the first day of the test on they get `lift`
of it more, at once or growing from 0 to twice that. The true effect is what was added, on average a
market and day.

================== ================================================================================
`plain`            stationary factors, independent noise, sizes that differ little
`autocorrelated`   noise that remembers (0.5 from one day to the next)
`trends`           a random-walk factor, and a trend of each market's own
`sizes`            sizes over two orders of magnitude, small markets noisy
`seasonal`         a strong week that differs from market to market
`growing`          an effect that grows through the test
`nothing_works`    no effect
`harm`             the action loses outcome
================== ================================================================================

This file is frozen: methods are judged in these worlds, so it was committed, with its hash in a
test, before any of them was tuned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LEVEL = 1_000.0
BURN_IN = 50
"""Days that pass before the first one, so that what remembers has something to remember."""


@dataclass(frozen=True)
class GeoTrial:
    """One drawn test.

    Parameters
    ----------
    outcome : (days, markets) float array
        What was seen.
    untreated : (days, markets) float array
        What would have been seen had nothing been done.
    treated : (markets,) bool array
    before : int
        Days before the test; the test runs from this row on.
    """

    outcome: Floats
    untreated: Floats
    treated: NDArray[np.bool_]
    before: int

    @property
    def effect(self) -> float:
        """What was added, on average a treated market and day of the test."""
        added = self.outcome - self.untreated
        return float(added[self.before :, self.treated].mean())


@dataclass(frozen=True)
class GeoWorld:
    """What markets are like; see the table above.

    Parameters
    ----------
    name : str
    lift : float
        What the action adds, as a part of what would have been.
    growing : bool
        The effect grows evenly from 0 to twice `lift`.
    spread : float
        Standard deviation of the logarithm of the sizes.
    noise : float
        Standard deviation of a day's noise in a market of size 1.
    memory : float
        Correlation of the noise of one day with that of the next.
    smallness : float
        Power of the size by which relative noise falls.
    season : float
        Size of the weekly season.
    own_season : float
        How much it differs from market to market, as a part of it.
    trend : float
        Standard deviation of the markets' own trends over the whole time.
    walk : bool
        Whether the first factor is a random walk.
    """

    name: str
    lift: float = 0.05
    growing: bool = False
    spread: float = 0.3
    noise: float = 0.04
    memory: float = 0.0
    smallness: float = 0.0
    season: float = 0.08
    own_season: float = 0.3
    trend: float = 0.0
    walk: bool = False

    def draw(
        self, rng: np.random.Generator, *, markets: int, treated: int, before: int, during: int
    ) -> GeoTrial:
        """Draw a test.

        Parameters
        ----------
        rng : numpy.random.Generator
        markets, treated : int
            Markets in all, and those that get the action.
        before, during : int
            Days.

        Returns
        -------
        GeoTrial

        Examples
        --------
        >>> given = {"markets": 20, "treated": 2, "before": 60, "during": 14}
        >>> trial = WORLDS["plain"].draw(np.random.default_rng(0), **given)
        >>> trial.outcome.shape, int(trial.treated.sum()), trial.effect > 0
        ((74, 20), 2, True)
        """
        days = before + during
        size = np.exp(rng.normal(0.0, self.spread, markets))
        shape = 1.0 + self._common(rng, days, markets) + self._week(rng, days, markets)
        shape += rng.normal(0.0, self.trend, markets) * np.linspace(0.0, 1.0, days)[:, None]
        noise = _remembering(rng, days, markets, self.memory)
        shape += self.noise * noise * size**-self.smallness
        untreated = LEVEL * size * np.maximum(shape, 0.05)
        chosen = np.zeros(markets, dtype=np.bool_)
        chosen[rng.permutation(markets)[:treated]] = True
        lift = np.zeros(days)
        lift[before:] = self.lift
        if self.growing:
            lift[before:] = self.lift * np.linspace(0.0, 2.0, during)
        outcome = untreated * (1.0 + np.outer(lift, chosen))
        return GeoTrial(outcome, untreated, chosen, before)

    def _common(self, rng: np.random.Generator, days: int, markets: int) -> Floats:
        """Draw two factors and what each market takes of them."""
        factors = 0.05 * _remembering(rng, days, 2, 0.8)
        if self.walk:
            factors[:, 0] = 0.015 * rng.normal(size=days).cumsum()
        loadings = np.column_stack([rng.normal(1.0, 0.3, markets), rng.normal(0.0, 0.6, markets)])
        return np.asarray(factors @ loadings.T, dtype=np.float64)

    def _week(self, rng: np.random.Generator, days: int, markets: int) -> Floats:
        """Draw a weekly season, and how each market differs from it."""
        week = rng.normal(0.0, 1.0, 7)
        week -= week.mean()
        own = rng.normal(0.0, self.own_season, (7, markets))
        own -= own.mean(axis=0)
        return np.asarray(self.season * (week[:, None] + own)[np.arange(days) % 7])


def _remembering(rng: np.random.Generator, days: int, columns: int, memory: float) -> Floats:
    """Draw stationary first-order autoregressions with standard deviation 1."""
    shocks = rng.normal(size=(days + BURN_IN, columns))
    drawn = np.empty_like(shocks)
    drawn[0] = shocks[0]
    scale = np.sqrt(1.0 - memory**2)
    for day in range(1, shocks.shape[0]):
        drawn[day] = memory * drawn[day - 1] + scale * shocks[day]
    return np.asarray(drawn[BURN_IN:], dtype=np.float64)


_PLAIN = GeoWorld("plain")

WORLDS = {
    each.name: each
    for each in (
        _PLAIN,
        replace(_PLAIN, name="autocorrelated", memory=0.5),
        replace(_PLAIN, name="trends", walk=True, trend=0.05),
        replace(_PLAIN, name="sizes", spread=1.0, smallness=0.5),
        replace(_PLAIN, name="seasonal", season=0.25, own_season=0.4),
        replace(_PLAIN, name="growing", growing=True),
        replace(_PLAIN, name="nothing_works", lift=0.0),
        replace(_PLAIN, name="harm", lift=-0.08),
    )
}
"""Worlds by name."""
