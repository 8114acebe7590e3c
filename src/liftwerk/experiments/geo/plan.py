"""Plan a geo test: which markets, for how long, by placebo tests over the markets' own history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from liftwerk.errors import ProjectError, Refused
from liftwerk.experiments.geo.candidates import Candidate, candidates
from liftwerk.experiments.geo.markets import Markets
from liftwerk.experiments.geo.results import GeoPlan, Option, PowerPoint
from liftwerk.stats.synthetic_control import Panel, placebo
from liftwerk.stats.synthetic_control.augmented import choose_penalty, fit
from liftwerk.stats.synthetic_control.measure import (
    FEWEST_BEFORE,
    FEWEST_DONORS,
    WILD,
    days_before,
)
from liftwerk.stats.synthetic_control.power import detect, windows

LIFTS = np.array(
    [0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0, 1.25, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 100]
)
"""Lifts that are tried, in parts of the one that is asked for: far beyond it, so that a refusal can
name what would be found."""

SHORTEST = 2
"""Windows of the history without which nothing is said of power."""


@dataclass(frozen=True)
class Wish:
    """What a test shall find, and what it may take.

    Parameters
    ----------
    lift : float
        To be found, as a part of what would have been.
    days : tuple of int
        Lengths that may be chosen from.
    sizes : tuple of int
        Numbers of markets that may be treated.
    power, level : float
    required, excluded : tuple of str
        Markets that have to be treated; that may not be.
    largest_share : float
        The treated markets' part of the whole outcome, at most.
    price : float or None
        What one more unit of the outcome costs.
    draws : int
        Placebo tests in all.
    """

    lift: float
    days: tuple[int, ...]
    sizes: tuple[int, ...]
    power: float = 0.8
    level: float = 0.95
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    largest_share: float = 1.0
    price: float | None = None
    draws: int = 1_000


def plan(
    markets: Markets,
    wish: Wish,
    rng: np.random.Generator,
    tell: Callable[[str, str], None] = lambda step, words: None,
) -> GeoPlan:
    """Find markets and a length that can show a lift.

    Sets of markets are screened by how well the others move with them. In windows of the history in
    which nothing was done, lifts of several sizes are put in and the reading's own test is run: how
    often it finds them is the power.

    Parameters
    ----------
    markets : Markets
        A history without a test.
    wish : Wish
    rng : numpy.random.Generator
    tell : callable
        Is told how far it is: step, words.

    Returns
    -------
    GeoPlan
        Options that have the power, the smallest detectable lift first.

    Raises
    ------
    Refused
        If none has; the message names the nearest that would.
    ProjectError
        If a market or length cannot be.
    """
    _check(wish, markets)
    lifts = wish.lift * LIFTS
    units = _screened(markets, wish, rng)
    # As many windows for each as the draws allow, in two rounds: all a little, the best more.
    first = _round(markets, wish, units, lifts, max(SHORTEST, wish.draws // (2 * len(units))), tell)
    best = sorted(units, key=lambda unit: _order(first[unit]))[: max(1, len(units) // 4)]
    again = _round(markets, wish, best, lifts, max(SHORTEST, wish.draws // (2 * len(best))), tell)
    options = sorted((first | again).values(), key=lambda option: _order(option))
    feasible = tuple(option for option in options if _feasible(option, wish))
    if not feasible:
        raise _refused(markets, wish, options)
    draws = sum(first[unit].windows for unit in units) + sum(again[one].windows for one in best)
    unrest = {days: _unrest(markets, days) for days in sorted({days for _, days in units})}
    return GeoPlan(markets.where, wish.lift, wish.power, wish.level, draws, unrest, feasible)


Unit = tuple[Candidate, int]
"""A set of markets and a length."""


def _check(wish: Wish, markets: Markets) -> None:
    if not 0.0 < wish.lift < 10.0:
        raise ProjectError("the lift is not between 0 and 1,000%", "--effect", "write 5%")
    markets.columns([*wish.required, *wish.excluded])
    both = set(wish.required) & set(wish.excluded)
    if both:
        named = ", ".join(sorted(both))
        raise ProjectError(f"{named} is required and excluded", "--include", "choose one")
    most = len(markets.names) - FEWEST_DONORS
    if min(wish.sizes) > most or max(wish.sizes) < len(wish.required):
        raise Refused(
            f"{min(wish.sizes)} of {len(markets.names)} markets cannot be treated",
            markets.where,
            f"{FEWEST_DONORS} have to stay without the action: at most {max(most, 0)} can",
        )
    history = markets.days.shape[0]
    shortest = min(wish.days)
    needed = days_before(shortest) + shortest + SHORTEST - 1
    if history < needed:
        raise Refused(
            f"{history} days of history are too few to plan a test of {shortest}",
            markets.where,
            f"nearest: {_longest(history)}",
        )


def _longest(history: int) -> str:
    """Say what a history is long enough for."""
    fitting = [
        days for days in range(1, history) if days_before(days) + days + SHORTEST - 1 <= history
    ]
    if fitting:
        return f"a test of {fitting[-1]} days, or a longer history"
    return f"a history of {FEWEST_BEFORE + SHORTEST} days is needed at least"


def _screened(markets: Markets, wish: Wish, rng: np.random.Generator) -> list[Unit]:
    """Choose sets and lengths for the simulation."""
    excluded = set(markets.columns(wish.excluded))
    allowed = [place for place in range(len(markets.names)) if place not in excluded]
    required = markets.columns(wish.required)
    lengths = [days for days in wish.days if _enough(markets, days)]
    sizes = [size for size in wish.sizes if size <= len(markets.names) - FEWEST_DONORS]
    each = max(1, wish.draws // (10 * len(lengths) * max(len(sizes), 1)))
    found = [
        candidate
        for size in sizes
        for candidate in candidates(markets.values, size, allowed, required, 4 * each, rng)
        if _share(markets, candidate.columns) <= wish.largest_share
    ]
    by_size: dict[int, list[Candidate]] = {}
    for one in found:
        by_size.setdefault(len(one.columns), []).append(one)
    kept = [one for same in by_size.values() for one in same[:each]]
    if not kept:
        raise Refused(
            f"no set of {_sizes(wish.sizes)} markets has at most {wish.largest_share:.0%} of the "
            "outcome",
            markets.where,
            f"nearest: {_smallest_share(markets, wish, allowed):.1%} with the smallest ones",
        )
    return [(one, days) for one in kept for days in lengths]


def _enough(markets: Markets, days: int) -> bool:
    return bool(markets.days.shape[0] >= days_before(days) + days + SHORTEST - 1)


def _smallest_share(markets: Markets, wish: Wish, allowed: Sequence[int]) -> float:
    required = markets.columns(wish.required)
    free = [place for place in allowed if place not in required]
    free.sort(key=lambda place: float(markets.values[:, place].sum()))
    return _share(markets, [*required, *free[: max(0, min(wish.sizes) - len(required))]])


def _share(markets: Markets, columns: Sequence[int]) -> float:
    total = float(markets.values.sum())
    if total == 0.0:
        return 0.0
    return float(markets.values[:, list(columns)].sum()) / total


def _unrest(markets: Markets, days: int) -> float:
    whole = markets.values
    return placebo.unrest(Panel(whole[:, :1], whole, whole.shape[0] - days))


def _round(
    markets: Markets,
    wish: Wish,
    units: Sequence[Unit],
    lifts: np.ndarray,
    each: int,
    tell: Callable[[str, str], None],
) -> dict[Unit, Option]:
    """Simulate placebo tests of some sets and lengths."""
    found: dict[Unit, Option] = {}
    unrest = {days: _unrest(markets, days) for days in {days for _, days in units}}
    for place, unit in enumerate(units):
        found[unit] = _simulated(markets, wish, unit, lifts, each, unrest[unit[1]])
        tell("placebo tests", f"{place + 1} of {len(units)} sets of markets, {each} windows each")
    return found


def _simulated(
    markets: Markets, wish: Wish, unit: Unit, lifts: np.ndarray, each: int, unrest: float
) -> Option:
    candidate, days = unit
    columns = list(candidate.columns)
    others = np.setdiff1d(np.arange(len(markets.names)), columns)
    ends = windows(markets.days.shape[0], days, days_before(days), each)
    panels = [
        Panel(markets.values[:end, columns], markets.values[:end, others], end - days)
        for end in ends
    ]
    penalty = choose_penalty(panels[0])
    inflation = placebo.inflation(unrest)
    found = [
        detect(panel, penalty, lifts, inflation=inflation, level=wish.level) for panel in panels
    ]
    least = np.array([one.least for one in found])
    if unrest > WILD:
        # Such a test would be answered with `Unknown`.
        least = np.full_like(least, lifts.shape[0])
    powers = [float((least <= place).mean()) for place in range(lifts.shape[0])]
    reached = [lift for lift, power in zip(lifts, powers, strict=True) if power >= wish.power]
    detectable = None
    if reached:
        detectable = float(reached[0])
    cost = None
    if wish.price is not None:
        usual = float(markets.values[-days:, columns].sum())
        cost = wish.price * wish.lift * usual
    return Option(
        markets=tuple(markets.names[place] for place in columns),
        days=days,
        power=powers[int(np.flatnonzero(LIFTS == 1.0)[0])],
        detectable=detectable,
        false_alarms=float(np.mean([one.false_alarm for one in found])),
        windows=len(found),
        share=_share(markets, columns),
        imbalance=_imbalance(panels[0], penalty),
        cost=cost,
        curve=tuple(
            PowerPoint(float(lift), power) for lift, power in zip(lifts, powers, strict=True)
        ),
    )


def _imbalance(panel: Panel, penalty: float) -> float:
    target, donors = panel.history()
    equal = target - target.mean() - (donors - donors.mean(axis=0)).mean(axis=1)
    size = float(np.sqrt((equal**2).sum()))
    if size == 0.0:
        return 0.0
    gap = fit(panel, penalty).gap[: panel.before]
    return float(np.sqrt((gap**2).sum())) / size


def _feasible(option: Option, wish: Wish) -> bool:
    return option.power >= wish.power


def _order(option: Option) -> tuple[float, float, int, float]:
    """Feasible by the smallest detectable lift; then by power, fewer days and a smaller share."""
    detectable = option.detectable
    if detectable is None:
        detectable = float("inf")
    return (detectable, -option.power, option.days, option.share)


def _refused(markets: Markets, wish: Wish, options: Sequence[Option]) -> Refused:
    what = (
        f"no test of {_sizes(wish.days)} days with {_sizes(wish.sizes)} markets finds "
        f"{wish.lift:+.1%} with {wish.power:.0%} power"
    )
    best = options[0]
    if best.detectable is None:
        hint = "markets that move more alike, a longer history or a larger effect are needed"
        return Refused(what, markets.where, hint)
    named = ", ".join(best.markets)
    return Refused(
        what, markets.where, f"nearest: {best.detectable:+.1%} with {named} for {best.days} days"
    )


def _sizes(numbers: Sequence[int]) -> str:
    return " or ".join(str(number) for number in sorted(set(numbers)))
