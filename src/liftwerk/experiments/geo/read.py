"""Read a finished geo test: what was added, how sure that is, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from liftwerk.errors import InputError
from liftwerk.experiments.geo import cells as given
from liftwerk.experiments.geo.checks import checks_of
from liftwerk.experiments.geo.markets import Markets
from liftwerk.experiments.geo.results import CellReading, GeoReading, Series
from liftwerk.stats import Estimate, Unknown
from liftwerk.stats.synthetic_control import Measured, Panel, measure
from liftwerk.stats.synthetic_control import difference_in_differences as second_opinion

LEAST_WEIGHT = 0.001

PLACEBOS = 100
"""Of the second opinion: its standard error is then known to about 7%."""


def read(
    markets: Markets,
    cells: Mapping[str, Sequence[str]],
    start: date,
    end: date,
    *,
    rng: np.random.Generator,
    spend: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> GeoReading:
    """Read a finished test without its design file.

    Parameters
    ----------
    markets : Markets
        What lies after the test is not read.
    cells : mapping of str to sequence of str
        Arm -> its markets. All others are what each is compared with.
    start, end : date
        First and last day of the test.
    rng : numpy.random.Generator
        For the placebos of the second opinion.
    spend : mapping of str to float, optional
        What each cell cost; otherwise what the data say was spent more than before.
    level : float

    Returns
    -------
    GeoReading

    Raises
    ------
    ProjectError
        If a market is in two cells or in none of the data, the dates are not in the data, there is
        no day before the test or no other market.
    """
    given.check(cells, markets.where)
    places = {cell: markets.columns(names) for cell, names in cells.items()}
    first, last = _rows(markets, start, end)
    treated = np.concatenate([np.asarray(each) for each in places.values()])
    others = np.setdiff1d(np.arange(len(markets.names)), treated)
    if not others.size:
        hint = "leave some markets without the action"
        raise InputError("all markets are treated", markets.where, hint)
    names = tuple(markets.names[place] for place in others)
    readings = []
    # All cells have the same other markets, which drift apart as they do.
    unrest: float | None = None
    for cell, columns in places.items():
        panel = Panel(
            markets.values[: last + 1, columns], markets.values[: last + 1, others], first
        )
        measured = measure(panel, level, unrest=unrest)
        if np.isfinite(measured.unrest):
            unrest = measured.unrest
        cost = _cost(markets, cell, columns, first, last, spend)
        readings.append(_cell(cell, markets, columns, names, panel, measured, cost, rng, level))
    return GeoReading(markets.where, start, end, level, len(names), tuple(readings))


def _rows(markets: Markets, start: date, end: date) -> tuple[int, int]:
    first = markets.row(start, "the first day of the test")
    last = markets.row(end, "the last day of the test")
    if last < first:
        hint = "--from is the first day, --to the last"
        raise InputError(f"the test ends ({end}) before it starts ({start})", markets.where, hint)
    if first < 2:
        raise InputError(
            f"there are no days before the test ({start})",
            markets.where,
            "data of at least three times its length before it are needed",
        )
    return first, last


def _cell(
    cell: str,
    markets: Markets,
    columns: Sequence[int],
    others: Sequence[str],
    panel: Panel,
    measured: Measured,
    cost: float | None,
    rng: np.random.Generator,
    level: float,
) -> CellReading:
    second = second_opinion.estimate(panel, rng, draws=PLACEBOS, level=level)
    gap = measured.fit.gap
    series = Series(
        days=tuple(markets.days[: panel.periods].tolist()),
        treated=tuple(panel.mean.tolist()),
        counterfactual=tuple((panel.mean - gap).tolist()),
        before=panel.before,
    )
    incremental = _times(measured.answer, panel.units * panel.during)
    return CellReading(
        cell=cell,
        markets=tuple(markets.names[place] for place in columns),
        effect=measured.answer,
        incremental=incremental,
        lift=lift(measured.answer, float(panel.mean[panel.before :].mean())),
        p_value=measured.p_value,
        spend=cost,
        roas=_return(incremental, cost),
        second=second,
        weights=_weights(measured, others),
        imbalance=measured.imbalance,
        misfit=measured.misfit,
        checks=checks_of(panel, measured, second),
        series=series,
    )


def lift(effect: Estimate | Unknown, seen: float) -> Estimate | Unknown:
    """Turn an effect into a part of what would have been.

    Parameters
    ----------
    effect : Estimate or Unknown
    seen : float
        The mean outcome during the test.

    Returns
    -------
    Estimate or Unknown
        With what was seen fixed, the lift e / (seen - e) grows with the effect e, so the ends of
        the interval are those of the effect's.

    Examples
    --------
    >>> print(lift(Estimate(10.0, 0.0, 20.0, 5.0, 100, "m"), 110.0))
    0.1 (0 to 0.222222)
    """
    if isinstance(effect, Unknown):
        return effect
    if seen - effect.high <= 0.0:
        return Unknown(
            "without the action there may have been nothing at all",
            "a market with an outcome of its own",
        )
    value, low, high = (e / (seen - e) for e in (effect.value, effect.low, effect.high))
    error = effect.standard_error * seen / (seen - effect.value) ** 2
    return Estimate(
        value, low, high, error, effect.n, effect.method, effect.assumptions, effect.level
    )


def _times(answer: Estimate | Unknown, factor: float) -> Estimate | Unknown:
    if isinstance(answer, Unknown):
        return answer
    numbers = (answer.value, answer.low, answer.high, answer.standard_error)
    value, low, high, error = (number * factor for number in numbers)
    return Estimate(
        value, low, high, error, answer.n, answer.method, answer.assumptions, answer.level
    )


def _return(incremental: Estimate | Unknown, cost: float | None) -> Estimate | Unknown | None:
    if cost is None:
        return None
    if cost <= 0.0:
        return Unknown("no more was spent than before", "what the test cost: --spend")
    return _times(incremental, 1.0 / cost)


def _cost(
    markets: Markets,
    cell: str,
    columns: Sequence[int],
    first: int,
    last: int,
    spend: Mapping[str, float] | None,
) -> float | None:
    """Say what a cell cost: as it was said, or what was spent more than on as many days before."""
    if spend is not None and cell in spend:
        return spend[cell]
    if markets.spend is None:
        return None
    daily: NDArray[np.float64] = markets.spend[: last + 1, columns].sum(axis=1)
    usual = float(daily[:first].mean()) * (last + 1 - first)
    return float(daily[first:].sum()) - usual


def _weights(measured: Measured, others: Sequence[str]) -> dict[str, float]:
    weights = measured.fit.weights
    order = np.argsort(-np.abs(weights), kind="stable")
    return {
        others[place]: float(weights[place])
        for place in order
        if abs(weights[place]) >= LEAST_WEIGHT
    }
