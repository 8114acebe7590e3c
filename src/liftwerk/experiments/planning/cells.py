"""What the cells of a geo test show after some days, and which markets would do instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.errors import Refused
from liftwerk.experiments.geo.markets import Markets
from liftwerk.experiments.geo.plan import Wish, plan
from liftwerk.experiments.geo.power import Tried, Tries, has_room
from liftwerk.experiments.planning.judged import first_step
from liftwerk.experiments.planning.nearest import LARGEST
from liftwerk.experiments.planning.plan import WEEK
from liftwerk.stats.synthetic_control.measure import FEWEST_DONORS

Floats: TypeAlias = NDArray[np.float64]
Cells: TypeAlias = Mapping[str, tuple[str, ...]]

WEEKS = (1, 2, 3, 4, 6, 8, 10, 13)
"""Lengths that are tried."""

LIFTS = np.unique(np.round([*np.geomspace(0.1, 100.0, 61), 0.5, 1.0, 1.5], 6))
"""Effects that are tried, in parts of the one that is asked for, an eighth apart."""

MORE = 2
"""Markets that are proposed beyond those that were declared, at most."""

DRAWS = 120
"""Placebo tests by which other markets are screened."""

CHECKED = 3
"""Proposals that are read as the declared cells are, until one holds."""


def lengths(markets: Markets, within: int) -> list[int]:
    """List the lengths that may be tried: weeks, and all days that are allowed.

    Parameters
    ----------
    markets : Markets
        The history has to have room for them.
    within : int
        Days at most.
    """
    allowed = {WEEK * weeks for weeks in WEEKS if WEEK * weeks <= within}
    if within < WEEK * WEEKS[-1]:
        allowed.add(within)
    return [days for days in sorted(allowed) if has_room(markets, days)]


@dataclass(frozen=True, eq=False)
class Found:
    """What a test of some days shows.

    Attributes
    ----------
    days : int
    tried : dict of str to Tried
        By arm.
    power : float
        Of the arm that sees it least often.
    detectable : float or None
        The smallest effect tried that every arm sees with the wanted power.
    windows : int
    """

    days: int
    tried: dict[str, Tried]
    power: float
    detectable: float | None
    windows: int


def keenest(found: Sequence[Found]) -> Found:
    """Choose the length that sees the smallest effect; the last one if it sees what is asked for.

    Parameters
    ----------
    found : sequence of Found
        By length; only the last one may see what is asked for.
    """
    seen = {abs(one.detectable): one for one in found if one.detectable is not None}
    if not seen:
        return max(found, key=lambda one: one.power)
    return seen[min(seen)]


@dataclass(frozen=True, eq=False)
class GeoTest:
    """Cells over a history, and the effect that they are for.

    Attributes
    ----------
    markets : Markets
        A history without a test.
    cells : mapping of str to tuple of str
        Arm -> its markets.
    effect : float
        As a part of what would have been; below 0 for a decrease.
    level, wanted : float
        Of the interval; the power.
    metrics : int
        How many judge each cell: metrics times cells are judged together.
    """

    markets: Markets
    cells: Cells
    effect: float
    level: float
    wanted: float
    metrics: int = 1
    _found: dict[int, Found] = field(default_factory=dict)

    @property
    def each(self) -> float:
        """The level at which one comparison is judged first."""
        return first_step(self.level, self.metrics * max(len(self.cells), 1))

    @property
    def columns(self) -> dict[str, list[int]]:
        """Each arm's columns of the history."""
        return {arm: self.markets.columns(cell) for arm, cell in self.cells.items()}

    @property
    def others(self) -> list[int]:
        """Columns of the markets that no arm has."""
        treated = {name for cell in self.cells.values() for name in cell}
        return [place for place, name in enumerate(self.markets.names) if name not in treated]

    @property
    def lifts(self) -> Floats:
        """Effects that are tried, the one that is asked for among them; none above doubling."""
        tried = self.effect * LIFTS
        return np.asarray(tried[(np.abs(tried) <= LARGEST) | (LIFTS <= 1.5)])

    def of(self, days: int) -> Found:
        """Run placebo tests of a length, once.

        Parameters
        ----------
        days : int
            The history has room for it.
        """
        if days not in self._found:
            tries = Tries(self.markets, self.others, days)
            found = {
                arm: tries.of(cell, self.lifts, self.each) for arm, cell in self.columns.items()
            }
            least = np.min([one.powers for one in found.values()], axis=0)
            detectable = self._least(least)
            windows = next(iter(found.values())).windows
            self._found[days] = Found(days, found, self._at(least, 1.0), detectable, windows)
        return self._found[days]

    def powers(self, found: Found, times: Sequence[float]) -> list[float]:
        """Say how often the weakest arm sees some effects; what is seen of none is an alarm.

        Parameters
        ----------
        found : Found
        times : sequence of float
            Parts of the effect that are among those tried, or 0.
        """
        least = np.min([one.powers for one in found.tried.values()], axis=0)
        alarms = max(one.false_alarms for one in found.tried.values())
        return [self._at(least, one) if one else alarms for one in times]

    def power_of(self, tried: Tried) -> float:
        """Say how often an arm sees the effect."""
        return self._at(tried.powers, 1.0)

    def detectable_of(self, tried: Tried) -> float | None:
        """Say which effect an arm sees with the wanted power."""
        return self._least(tried.powers)

    def with_cells(self, cells: Cells) -> GeoTest:
        """Return a test of other cells over the same history."""
        return GeoTest(self.markets, cells, self.effect, self.level, self.wanted, self.metrics)

    def _at(self, powers: Floats, times: float) -> float:
        return float(powers[int(np.flatnonzero(times == LIFTS)[0])])

    def _least(self, powers: Floats) -> float | None:
        enough = np.flatnonzero(powers >= self.wanted)
        if not enough.size:
            return None
        return float(self.lifts[enough[0]])


def propose(
    test: GeoTest, size: int, taken: Sequence[str], days: int, rng: np.random.Generator
) -> tuple[str, ...] | None:
    """Find markets that see the effect of a test, by market selection over the history.

    What the selection finds looks better than it is, as the best of many does: so it is read once
    more, as the declared cells are.

    Parameters
    ----------
    test : GeoTest
    size : int
        Markets at least; a few more may be proposed.
    taken : sequence of str
        Markets of other arms.
    days : int
    rng : numpy.random.Generator

    Returns
    -------
    tuple of str or None
    """
    free = test.markets.without(taken)
    sizes = [one for one in range(size, size + MORE + 1) if one <= len(free.names) - FEWEST_DONORS]
    if not sizes:
        return None
    wish = Wish(
        lift=abs(test.effect),
        days=(days,),
        sizes=tuple(sizes),
        power=test.wanted,
        level=test.each,
        draws=DRAWS,
    )
    try:
        options = plan(free, wish, rng).options
    except Refused:
        return None
    fewest = sorted(options, key=lambda one: len(one.markets))
    alone = GeoTest(free, {}, test.effect, test.each, test.wanted)
    for option in fewest[:CHECKED]:
        if alone.with_cells({"": option.markets}).of(days).power >= test.wanted:
            return option.markets
    return None
