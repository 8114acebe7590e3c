"""What plan and reading of a geo test are, for terminal, page, JSON and effect register alike."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from liftwerk.experiments.reading import Check
from liftwerk.stats import Estimate, Unknown


class Series(Struct, frozen=True):
    """Means over a cell's markets, day by day.

    Attributes
    ----------
    days : tuple of date
    treated : tuple of float
        What was seen.
    counterfactual : tuple of float
        What would have been seen, as far as the other markets tell.
    before : int
        Days before the test.
    """

    days: tuple[date, ...]
    treated: tuple[float, ...]
    counterfactual: tuple[float, ...]
    before: int


class CellReading(Struct, frozen=True):
    """What was done in the markets of one cell, and what it added.

    Attributes
    ----------
    cell : str
    markets : tuple of str
    effect : Estimate or Unknown
        On an average market and day.
    incremental : Estimate or Unknown
        In all markets over the whole test.
    lift : Estimate or Unknown
        As a part of what would have been.
    p_value : float or None
        Of no effect, by the method that made the intervals.
    spend : float or None
        What was spent more than before.
    roas : Estimate, Unknown or None
        Incremental outcome for each unit of money spent; None where no cost is known.
    second : Estimate or Unknown
        The effect by synthetic difference-in-differences, which has assumptions of its own.
    weights : dict of str to float
        What each of the other markets stands for, the heaviest first.
    imbalance, misfit : float
        How well the counterfactual fits before the test: the gap beside that of an equal mix of
        all markets, and beside how much the treated markets themselves moved.
    checks : tuple of Check
    series : Series
    """

    cell: str
    markets: tuple[str, ...]
    effect: Estimate | Unknown
    incremental: Estimate | Unknown
    lift: Estimate | Unknown
    p_value: float | None
    spend: float | None
    roas: Estimate | Unknown | None
    second: Estimate | Unknown
    weights: dict[str, float]
    imbalance: float
    misfit: float
    checks: tuple[Check, ...]
    series: Series


class GeoReading(Struct, frozen=True):
    """A finished test, read.

    Attributes
    ----------
    source : str
    start, end : date
        First and last day of the test.
    level : float
    others : int
        Markets where nothing was done.
    cells : tuple of CellReading
    """

    source: str
    start: date
    end: date
    level: float
    others: int
    cells: tuple[CellReading, ...]


class PowerPoint(Struct, frozen=True):
    """How often an effect of one size was found.

    Attributes
    ----------
    lift : float
    power : float
    """

    lift: float
    power: float


class Option(Struct, frozen=True):
    """Markets and a length that a test could have.

    Attributes
    ----------
    markets : tuple of str
    days : int
    power : float
        Of the lift that was asked for.
    detectable : float or None
        The smallest lift that is found with the power asked for; None where none that was tried is.
    false_alarms : float
        How often an effect was claimed in windows of the history where there was none.
    windows : int
        Windows of the history that were tried.
    share : float
        The treated markets' part of the whole outcome.
    imbalance : float
        Of the most recent window.
    cost : float or None
        What the test would cost, where it was said what an increment costs.
    curve : tuple of PowerPoint
    """

    markets: tuple[str, ...]
    days: int
    power: float
    detectable: float | None
    false_alarms: float
    windows: int
    share: float
    imbalance: float
    cost: float | None
    curve: tuple[PowerPoint, ...]


class GeoPlan(Struct, frozen=True):
    """What can be tested, the best first.

    Attributes
    ----------
    source : str
    lift : float
        That is to be found.
    power, level : float
    draws : int
        Placebo tests that were simulated.
    unrest : dict of int to float
        By length in days: how far markets drift apart (1 is none).
    options : tuple of Option
        The feasible ones.
    """

    source: str
    lift: float
    power: float
    level: float
    draws: int
    unrest: dict[int, float]
    options: tuple[Option, ...]
