"""Geo tests in worlds that no method was tuned in, with known truth.

The worlds of `geo_trial` were known when thresholds of the reading were set; these were written
down, with their hash in a test, before a single result of them was seen. A market i has, on day t,
had nothing been done,

    level x size_i x exp(growth_i x t / year + own random walk)
          x (1 + common factors + common random walks + factor and shocks of its region
               + breaks + promotions + holidays + seasons + noise)

or a Poisson count of that mean. From the first day of the test on, treated markets get `lift` of it
more: at once, growing, fading, or only from the middle of the test on; in counts the mean is lifted
and what was added is counted. The true effect is what was added, on average a treated market and
day. Parameters are parts of the level unless they say otherwise.

`FIRST` are the worlds that the reading was tried in; `SECOND` were kept for a method that `FIRST`
might have to change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from liftwerk.simulation.geo_trial import GeoTrial

Floats: TypeAlias = NDArray[np.float64]

LEVEL = 1_000.0
YEAR = 365.0
BURN_IN = 100
FACTORS, FACTOR_MEMORY = 0.04, 0.8
REGION_MEMORY = 0.9
SHOCK_DAYS, LOCAL_DAYS, NATIONAL_DAYS, HOLIDAYS = 5, 3, 4, 4
PATHS = ("constant", "growing", "fading", "late")


@dataclass(frozen=True)
class UnseenWorld:
    """What markets are like.

    Parameters
    ----------
    path : str
        One of `PATHS`: how the effect moves through the test, on average 1.
    spread : float
        Standard deviation of the logarithm of the sizes.
    noise, memory, freedom : float
        A day's noise: standard deviation, correlation with the day before, and degrees of freedom
        of Student's t (0 for normal noise).
    end_noise : float
        How many times as large the noise is on the last day as on the first.
    bursts : float
        Standard deviation of the logarithm of a spread that all markets share and that lasts weeks.
    own_walk, common_walk : float
        Step of a random walk of each market's own, and of one that all share unequally.
    loading : float
        How differently markets take part in what all share.
    regions : int
        Regions with a factor of their own; 0 for none.
    region, region_shock : float
        Standard deviation of that factor; and of shocks of five days that come every 60 days.
    one_region : bool
        Whether the treated markets lie in one region.
    break_days, break_size : float
        Days between the breaks of a market's level for good, and their standard deviation.
    local_days, local_size : float
        Days between a market's own promotions of three days, and their mean size.
    national_days, national_size : float
        The same for promotions of four days in all markets, of unequal effect.
    holiday : float
        An event of four days in all markets in the midst of the test, unlike any before.
    season, own_season : float
        Size of the weekly season, and how much it differs between markets.
    yearly : float
        Size of a yearly wave, unequal, and of another phase in each market.
    growth : float
        Standard deviation of the markets' growth a year.
    bend : float
        Standard deviation of the slope a year that a market takes on in the middle of the history.
    outages : float
        Days between a market's days without data: 0 is reported.
    counted : float
        Mean of a day's count in a market of size 1; 0 for amounts.
    """

    path: str = "constant"
    spread: float = 0.4
    noise: float = 0.04
    memory: float = 0.3
    freedom: float = 0.0
    end_noise: float = 1.0
    bursts: float = 0.0
    own_walk: float = 0.0
    common_walk: float = 0.0
    loading: float = 0.3
    regions: int = 0
    region: float = 0.0
    region_shock: float = 0.0
    one_region: bool = False
    break_days: float = 0.0
    break_size: float = 0.0
    local_days: float = 0.0
    local_size: float = 0.0
    national_days: float = 0.0
    national_size: float = 0.0
    holiday: float = 0.0
    season: float = 0.10
    own_season: float = 0.3
    yearly: float = 0.0
    growth: float = 0.0
    bend: float = 0.0
    outages: float = 0.0
    counted: float = 0.0

    def draw(
        self,
        rng: np.random.Generator,
        *,
        markets: int,
        treated: int,
        before: int,
        during: int,
        lift: float,
    ) -> GeoTrial:
        """Draw a history, and a test at its end.

        Parameters
        ----------
        rng : numpy.random.Generator
        markets, treated : int
            Markets in all, and those that get the action.
        before, during : int
            Days.
        lift : float
            What the action adds, as a part of what would have been.

        Returns
        -------
        GeoTrial
            With the same generator, the same history whatever the lift.

        Examples
        --------
        >>> given = {"markets": 12, "treated": 2, "before": 60, "during": 14, "lift": 0.1}
        >>> trial = FIRST["breaks"].draw(np.random.default_rng(0), **given)
        >>> float((trial.effect / trial.untreated[60:, trial.treated].mean()).round(6))
        0.1
        """
        days = before + during
        size = np.exp(rng.normal(0.0, self.spread, markets))
        region = np.arange(markets) % max(self.regions, 1)
        shape = 1.0 + self._common(rng, days, markets) + self._regional(rng, days, region)
        shape += self._events(rng, days, before, markets) + self._seasons(rng, days, markets)
        shape += self._noise(rng, days, markets)
        mean = size * np.maximum(shape, 0.05) * np.exp(self._drift(rng, days, markets))
        chosen = np.zeros(markets, dtype=np.bool_)
        chosen[self._chosen(rng, region, treated)] = True
        there = np.ones((days, markets))
        if self.outages:
            there[rng.random((days, markets)) < 1.0 / self.outages] = 0.0
        untreated = LEVEL * mean * there
        if self.counted:
            untreated = rng.poisson(self.counted * mean * there).astype(np.float64)
        added = np.zeros((days, markets))
        lifted = np.outer(lift * _path(self.path, during), chosen)
        added[before:] = untreated[before:] * lifted
        if self.counted:
            means = self.counted * (mean * there)[before:] * lifted
            added[before:] = rng.poisson(np.abs(means)) * np.sign(lift)
        return GeoTrial(untreated + added, untreated, chosen, before)

    def _chosen(
        self, rng: np.random.Generator, region: NDArray[np.int64], treated: int
    ) -> NDArray[np.int64]:
        order = rng.permutation(region.shape[0])
        if self.one_region:
            order = order[np.argsort(region[order] != region[order[0]], kind="stable")]
        return np.asarray(order[:treated])

    def _loadings(self, rng: np.random.Generator, markets: int) -> Floats:
        """Draw how much of something all share each market takes, around 1."""
        return rng.uniform(1.0 - 2.0 * self.loading, 1.0 + 2.0 * self.loading, markets)

    def _common(self, rng: np.random.Generator, days: int, markets: int) -> Floats:
        factors = FACTORS * _remembering(rng, days, 2, FACTOR_MEMORY)
        loadings = np.stack([self._loadings(rng, markets), rng.normal(0.0, 0.5, markets)])
        walks = self.common_walk * rng.normal(size=(days, 2)).cumsum(axis=0)
        parts = np.stack([self._loadings(rng, markets), rng.normal(0.0, 0.5, markets)])
        return np.asarray(factors @ loadings + walks @ parts, dtype=np.float64)

    def _regional(
        self, rng: np.random.Generator, days: int, region: NDArray[np.int64]
    ) -> Floats | float:
        if not self.regions:
            return 0.0
        shared = self.region * _remembering(rng, days, self.regions, REGION_MEMORY)
        shocks = rng.normal(0.0, self.region_shock, shared.shape)
        shocks *= rng.random(shared.shape) < 1.0 / 60.0
        return np.asarray((shared + _lasting(shocks, SHOCK_DAYS))[:, region])

    def _events(self, rng: np.random.Generator, days: int, before: int, markets: int) -> Floats:
        shape = np.zeros((days, markets))
        if self.break_days:
            breaks = rng.normal(0.0, self.break_size, shape.shape)
            shape += (breaks * (rng.random(shape.shape) < 1.0 / self.break_days)).cumsum(axis=0)
        if self.local_days:
            sizes = rng.exponential(self.local_size, shape.shape)
            sizes *= rng.random(shape.shape) < 1.0 / self.local_days
            shape += _lasting(sizes, LOCAL_DAYS)
        if self.national_days:
            sizes = rng.exponential(self.national_size, days)
            sizes *= rng.random(days) < 1.0 / self.national_days
            everywhere = _lasting(sizes[:, None], NATIONAL_DAYS)
            shape += everywhere * self._loadings(rng, markets)
        if self.holiday:
            first = before + (days - before) // 2
            shape[first : first + HOLIDAYS] += self.holiday * self._loadings(rng, markets)
        return shape

    def _seasons(self, rng: np.random.Generator, days: int, markets: int) -> Floats:
        week = rng.normal(0.0, 1.0, (7, 1)) + rng.normal(0.0, self.own_season, (7, markets))
        week -= week.mean(axis=0)
        place = (np.arange(days) + rng.integers(0, 365))[:, None]
        phase = rng.normal(0.0, 20.0, markets)
        wave = np.sin(2.0 * np.pi * (place + phase) / YEAR) * self._loadings(rng, markets)
        return np.asarray(self.season * week[np.arange(days) % 7] + self.yearly * wave)

    def _noise(self, rng: np.random.Generator, days: int, markets: int) -> Floats:
        spread = self.noise * np.linspace(1.0, self.end_noise, days)
        spread = spread * np.exp(self.bursts * _remembering(rng, days, 1, 0.95)[:, 0])
        return np.asarray(
            spread[:, None] * _remembering(rng, days, markets, self.memory, self.freedom)
        )

    def _drift(self, rng: np.random.Generator, days: int, markets: int) -> Floats:
        """Draw what moves for good, on the scale of logarithms."""
        time = np.arange(days)[:, None] / YEAR
        moved = rng.normal(0.0, 1.0, markets) * self.growth * time
        later = np.maximum(time - time[days // 2], 0.0)
        moved = moved + rng.normal(0.0, 1.0, markets) * self.bend * later
        walk = self.own_walk * rng.normal(size=(days, markets)).cumsum(axis=0)
        return np.asarray(moved + walk, dtype=np.float64)


def _remembering(
    rng: np.random.Generator, days: int, columns: int, memory: float, freedom: float = 0.0
) -> Floats:
    """Draw stationary first-order autoregressions with standard deviation 1."""
    shape = (days + BURN_IN, columns)
    if freedom:
        shocks = rng.standard_t(freedom, shape) / np.sqrt(freedom / (freedom - 2.0))
    else:
        shocks = rng.normal(size=shape)
    drawn = lfilter([np.sqrt(1.0 - memory**2)], [1.0, -memory], shocks, axis=0)
    return np.asarray(drawn[BURN_IN:], dtype=np.float64)


def _lasting(begun: Floats, days: int) -> Floats:
    """Let what began on a day last for some."""
    return np.asarray(lfilter(np.ones(days), [1.0], begun, axis=0), dtype=np.float64)


def _path(path: str, during: int) -> Floats:
    """Give the effect by day of the test, as a part of its average."""
    if path == "growing":
        return np.linspace(0.0, 2.0, during)
    if path == "fading":
        return np.linspace(2.0, 0.0, during)
    found = np.ones(during)
    if path == "late" and during > 1:
        found[: during // 2] = 0.0
        found *= during / found.sum()
    return found


_SHOP = {
    "memory": 0.5, "freedom": 5.0, "own_walk": 0.003, "regions": 4, "region": 0.02,
    "region_shock": 0.06, "break_days": 400.0, "break_size": 0.06, "local_days": 60.0,
    "local_size": 0.10, "national_days": 40.0, "national_size": 0.15, "growth": 0.10,
}  # fmt: skip

FIRST: dict[str, UnseenWorld] = {
    "unit root": UnseenWorld(own_walk=0.008, noise=0.03),
    "cointegrated": UnseenWorld(common_walk=0.015),
    "regions": UnseenWorld(regions=4, region=0.05, region_shock=0.15),
    "one region": UnseenWorld(regions=4, region=0.05, region_shock=0.15, one_region=True),
    "breaks": UnseenWorld(break_days=120.0, break_size=0.10),
    "heavy tails": UnseenWorld(noise=0.06, freedom=3.0),
    "promotions": UnseenWorld(
        local_days=40.0, local_size=0.25, national_days=30.0, national_size=0.30
    ),
    "low counts": UnseenWorld(counted=6.0, spread=0.6, noise=0.20, memory=0.0),
    "rare counts": UnseenWorld(counted=0.8, spread=0.6, memory=0.0),
    "fading": UnseenWorld(path="fading", noise=0.05, memory=0.5),
    "late": UnseenWorld(path="late", noise=0.05, memory=0.5),
    "yearly": UnseenWorld(yearly=0.15),
    "growth": UnseenWorld(growth=0.25, memory=0.5),
    "holiday": UnseenWorld(holiday=0.40, loading=0.2),
    "noisier": UnseenWorld(noise=0.03, end_noise=3.0),
    "bursts": UnseenWorld(bursts=0.6),
    "sticky": UnseenWorld(noise=0.06, memory=0.9),
    "shop": UnseenWorld(**_SHOP),  # type: ignore[arg-type]
}
"""Worlds by name, as written before any result."""

SECOND: dict[str, UnseenWorld] = {
    "unit root, small": UnseenWorld(own_walk=0.005, memory=0.5),
    "unit root, large": UnseenWorld(own_walk=0.015, noise=0.04),
    "cointegrated, noisy": UnseenWorld(common_walk=0.02, noise=0.07, loading=0.4),
    "six regions": UnseenWorld(regions=6, region=0.08, region_shock=0.25, loading=0.2),
    "one of three regions": UnseenWorld(
        regions=3, region=0.08, region_shock=0.10, one_region=True, memory=0.5
    ),
    "large breaks": UnseenWorld(break_days=250.0, break_size=0.20),
    "small breaks": UnseenWorld(break_days=60.0, break_size=0.04, memory=0.5),
    "heavier tails": UnseenWorld(noise=0.08, freedom=2.5, memory=0.0),
    "many promotions": UnseenWorld(
        local_days=20.0, local_size=0.15, national_days=15.0, national_size=0.20, loading=0.4
    ),
    "counts": UnseenWorld(counted=15.0, spread=0.8, own_walk=0.005),
    "growing": UnseenWorld(path="growing", noise=0.06, memory=0.6),
    "yearly, large": UnseenWorld(yearly=0.35, noise=0.05),
    "bends": UnseenWorld(growth=0.15, bend=0.60),
    "black friday": UnseenWorld(holiday=1.0, loading=0.3, noise=0.05),
    "calmer": UnseenWorld(noise=0.09, end_noise=0.33),
    "outages": UnseenWorld(outages=80.0, memory=0.5),
    "stickier": UnseenWorld(noise=0.05, memory=0.95),
    "shop, rougher": UnseenWorld(**(_SHOP | {"own_walk": 0.006, "noise": 0.06, "loading": 0.4})),  # type: ignore[arg-type]
}
"""Worlds kept for a method that the first ones might change."""
