"""How often the reading of a declared cell finds a lift, by placebo tests over a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.experiments.geo.markets import Markets
from liftwerk.experiments.geo.measured import HISTORY_DAYS
from liftwerk.stats.synthetic_control import Panel, placebo
from liftwerk.stats.synthetic_control.augmented import choose_penalty, fit
from liftwerk.stats.synthetic_control.measure import WILD, days_before
from liftwerk.stats.synthetic_control.power import Found, detect, windows

Floats: TypeAlias = NDArray[np.float64]

WINDOWS = 30
"""Placebo tests of a cell and a length, evenly spread over the history."""

DRIFTS = 4
"""Of these windows, those in which it is measured how far markets drift apart: others are near."""

MEASURED = 160
"""Markets that are read so in all; of many, fewer windows tell as much."""


@dataclass(frozen=True, eq=False)
class Tried:
    """What placebo tests of a cell found.

    Attributes
    ----------
    powers : (n,) float array
        For each lift, how often it was found.
    false_alarms : float
        How often one was found where there was none.
    windows : int
    explained : float
        The part of the cell's variance that the other markets explain, in the last window.
    """

    powers: Floats
    false_alarms: float
    windows: int
    explained: float


def has_room(markets: Markets, days: int) -> bool:
    """Say whether the history has room for placebo tests of a length: two that do not overlap.

    Parameters
    ----------
    markets : Markets
    days : int
    """
    return len(markets.days) >= days_needed(days)


def days_needed(days: int) -> int:
    """Say how many days of history it takes to plan a test of some days.

    Examples
    --------
    >>> days_needed(7), days_needed(28)
    (39, 140)
    """
    return days_before(days) + 2 * days


class Tries:
    """Placebo tests of one length, of any cells that are compared with the same other markets.

    Each is read as a finished test is (`measure`): by as many days before it as the reading will
    have, by a penalty of its own, with an interval that is as much wider as markets drift apart.
    The history is taken for a circle: before its first days come its last. Without that, early
    windows would have less before them than the test will have, and promise too little.

    Parameters
    ----------
    markets : Markets
        A history without a test, in which the length has room.
    others : sequence of int
        Markets that no cell has.
    days : int
    """

    def __init__(self, markets: Markets, others: Sequence[int], days: int) -> None:
        self._values = markets.values
        self._others = list(others)
        self._days = days
        history = markets.days.shape[0]
        self._before = min(HISTORY_DAYS, history - days)
        self._ends = windows(history, days, 0, WINDOWS)
        # How far markets drift apart is of the order of days: without the circle, where much lies
        # before.
        much = max(days_before(days), 2 * (history - days) // 3)
        most = max(min(DRIFTS, MEASURED // len(self._others)), 1)
        measured = windows(history, days, much, max(most, 2))[:most]
        unrest = [placebo.unrest(self._panel([0], end, end - days)) for end in measured]
        self._unrest = {
            end: unrest[int(np.abs(np.array(measured) - end).argmin())] for end in self._ends
        }

    def of(self, columns: Sequence[int], lifts: Floats, level: float) -> Tried:
        """Run them for a cell.

        Parameters
        ----------
        columns : sequence of int
            The cell's markets.
        lifts : (n,) float array
            Growing, or falling where a decrease is looked for.
        level : float

        Returns
        -------
        Tried
        """
        read = [self._read(columns, end, lifts, level) for end in self._ends]
        least = np.array([found.least for found, _ in read])
        powers = (least[:, None] <= np.arange(lifts.shape[0])).mean(axis=0)
        alarms = float(np.mean([found.false_alarm for found, _ in read]))
        return Tried(powers, alarms, len(read), max(read[0][1], 0.0))

    def _read(
        self, columns: Sequence[int], end: int, lifts: Floats, level: float
    ) -> tuple[Found, float]:
        """Read one window: what is found, and the part of the variance that others explain."""
        panel = self._panel(columns, end, self._before)
        penalty = choose_penalty(panel)
        target, _ = panel.history()
        own = target - target.mean()
        gap = fit(panel, penalty).gap[: panel.before]
        explained = 1.0 - float(gap @ gap) / max(float(own @ own), 1e-300)
        unrest = self._unrest[end]
        if explained <= 0.0 or unrest > WILD:
            # Such a test is answered with `Unknown`.
            return Found(lifts.shape[0], False), explained
        inflation = placebo.inflation(unrest)
        return detect(panel, penalty, lifts, inflation=inflation, level=level), explained

    def _panel(self, columns: Sequence[int], end: int, before: int) -> Panel:
        before = min(before, HISTORY_DAYS)
        rows = np.arange(end - self._days - before, end) % self._values.shape[0]
        taken = self._values[rows]
        return Panel(taken[:, list(columns)], taken[:, self._others], before)
