"""Play simulated experiments and count how often what is read is true: cells of the coverage map.

A *world* is drawn many times; each draw is read in several *designs*. One of each makes a *cell*:
the share of draws that are answered, and of these the share whose interval holds the truth (where
looks are many: at every one of them). Shared by the test and the soak
(`soak/experiments_coverage.py`, which has the list of all worlds).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from scipy.stats import binom

from liftwerk.simulation.experiments import (
    METRICS,
    Units,
    draw_clusters,
    draw_holdout,
    draw_units,
    holdout_truth,
    kind,
    truth,
)
from liftwerk.simulation.hillstrom import read
from liftwerk.simulation.switching_unseen import DAYS
from liftwerk.stats.difference import Difference, difference
from liftwerk.stats.difference.arms import Arms
from liftwerk.stats.difference.bulk import differences
from liftwerk.stats.estimate import Estimate
from liftwerk.stats.holdout import holdout
from liftwerk.stats.moments import Moments

FILE = Path(__file__).parents[2] / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"
LOOKS = 28
WEEKS = 16
EFFECT = 0.2
SMALL, MIDDLE, LARGE = (2_500, 2_500), (5_000, 5_000), (10_000, 10_000)
FEWEST, FEW = (50, 50), (200, 200)
SELDOM = 0.02
"""Part of the units that order at all, where orders are seldom."""
SIZES = {
    "conversion 0.2": (FEWEST, FEW, MIDDLE),
    "light": (FEWEST, FEW, MIDDLE),
    "per seldom order": (SMALL, LARGE),
    "conversion 0.005": (SMALL, MIDDLE, (5_000, 20_000), LARGE),
    "orders": (SMALL, MIDDLE, LARGE, (10_000, 40_000)),
    "lognormal 1": (MIDDLE, LARGE),
    "lognormal 1.6": (SMALL, MIDDLE, LARGE),
    "per order": (FEWEST, FEW, SMALL, MIDDLE, LARGE),
}
"""Units of the smaller arm and of the larger one, which is the treated one, by metric."""
FAMILY = 0.05
"""Chance that any cell of the map falls out of its bounds though all intervals are right."""


@dataclass(frozen=True)
class Played:
    """What one design made of one draw.

    Attributes
    ----------
    answered : bool
        Whether there was an interval (at the last look, where there are many).
    held : bool
        Whether all intervals held the truth, those of all looks.
    width : float
        Of the last interval.
    chance : float
        Of missing that the interval promises at most.
    """

    answered: bool
    held: bool
    width: float
    chance: float = 0.05


Draw: TypeAlias = dict[str, Played]


@dataclass(frozen=True)
class World:
    """Something to draw from and to read.

    Attributes
    ----------
    table : str
        In which table of the map it stands.
    name : str
        What stands before its row: world and size.
    effect : float
        0 where nothing works: what is not held there is a false positive.
    mapped : bool
        Whether its intervals have to be given; elsewhere they may be `Unknown`.
    play : callable
        One draw -> what each design made of it. A design whose name starts with ``anytime``,
        ``holdout``, ``conformal`` or ``bandit`` (corrected for skewness on the wide side) may cover
        more often than it promises, ``naive`` ones are shown to fail.
    draws : int
    """

    table: str
    name: str
    effect: float
    mapped: bool
    play: Callable[[np.random.Generator], Draw]
    draws: int = 2000


@dataclass(frozen=True)
class Cell:
    """How a design did in a world.

    Attributes
    ----------
    draws, answered, missed : int
        Draws; those with an interval; those of them whose interval missed the truth.
    width : float
        Median; None where nothing is answered.
    chance : float
        Of missing that the intervals promise at most.
    """

    table: str
    world: str
    design: str
    effect: float
    mapped: bool
    draws: int
    answered: int
    missed: int
    width: float | None
    chance: float = 0.05

    @property
    def naive(self) -> bool:
        """Whether the design is there to be shown to fail."""
        return self.design.startswith(("naive", "washout too short"))

    @property
    def covered(self) -> float:
        """Share of the answered draws whose intervals held."""
        return 1.0 - self.missed / max(self.answered, 1)

    def verdict(self, cells: int) -> Literal["holds", "short", "long", "silent"]:
        """Judge the cell as one of so many.

        ``short`` and ``long`` intervals are outside what a right one gives by chance, once in
        twenty maps; ``silent`` is a cell of the mapped region that gave no answer to one draw in
        twenty.
        """
        alpha = FAMILY / cells / 2
        if binom.sf(self.missed - 1, self.answered, self.chance) < alpha:
            return "short"
        if self.mapped and self.answered < 0.95 * self.draws:
            return "silent"
        one_sided = self.design.startswith(("anytime", "holdout", "conformal", "bandit"))
        if not one_sided and binom.cdf(self.missed, self.answered, self.chance) < alpha:
            return "long"
        return "holds"


def play(world: World, seed: int, draws: int | None = None) -> list[Cell]:
    """Draw a world many times and count."""
    counted: dict[str, list[Played]] = {}
    repeats = world.draws if draws is None else draws
    for draw in range(repeats):
        found = world.play(np.random.default_rng([seed, draw]))
        for design, played in found.items():
            counted.setdefault(design, []).append(played)
    return [_count(world, design, each) for design, each in counted.items()]


def play_many(
    worlds: Iterable[World], seed: int, processes: int, draws: int | None = None
) -> Iterator[list[Cell]]:
    """Play worlds on some cores; the result does not depend on how many."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        # A world with and without an effect is played by one process, which may remember.
        yield from pool.map(partial(play, seed=seed, draws=draws), worlds, chunksize=2)


def _count(world: World, design: str, played: list[Played]) -> Cell:
    answered = [each for each in played if each.answered]
    # An interval that missed at an earlier look is a miss, also where the last one is not given.
    missed = sum(not each.held for each in played)
    widths = [each.width for each in answered]
    middle = float(np.median(widths)) if widths else None
    return Cell(
        world.table,
        world.name,
        design,
        world.effect,
        world.mapped,
        len(played),
        max(len(answered), missed),
        missed,
        middle,
        played[0].chance,
    )


def judge(answers: Sequence[Difference], truths: Sequence[float], part: str = "absolute") -> Played:
    """Compare all looks with what is true at each."""
    held, answered, width = True, False, float("nan")
    for answer, true in zip(answers, truths, strict=True):
        found = getattr(answer, part)
        answered = isinstance(found, Estimate)
        if isinstance(found, Estimate):
            held &= found.low <= true <= found.high
            width = found.high - found.low
    return Played(answered, held, width)


def judge_many(found: np.ndarray, truths: np.ndarray) -> Played:
    """Compare all looks with what is true at each; they are not a number where unknown."""
    _, low, high, _ = found
    answered = np.isfinite(low)
    held = bool(((low <= truths) & (truths <= high))[answered].all())
    return Played(bool(answered[-1]), held, float(high[-1] - low[-1]))


@cache
def orders() -> np.ndarray:
    """What an order of the published trial was worth."""
    spend = read(FILE)[1].spend
    return spend[spend > 0.0]


def units(
    metric: str, n: int, share: float, daily: bool, effect: float, rng: np.random.Generator
) -> Draw:
    """Read one experiment on units in all designs."""
    seldom = metric == "per seldom order"
    if seldom:
        metric = "per order"
    drawn = draw_units(metric, n, rng, effect=effect, orders=orders(), share=share)
    if seldom:
        some = rng.random(n) < SELDOM
        drawn = replace(drawn, outcome=drawn.outcome * some, before=drawn.before * some)
    control, treated = truth(metric, effect, orders())
    found = _once(metric, drawn, treated - control, treated / control - 1.0)
    if daily:
        found |= _daily(metric, drawn, treated - control, treated / control - 1.0)
    return found


def _once(metric: str, drawn: Units, apart: float, ratio: float) -> Draw:
    """Read at a fixed time: plainly, with a covariate, within strata."""
    columns = np.vstack([drawn.outcome, drawn.before])
    strata = [
        [Moments.of(columns[:, (drawn.treated == arm) & (drawn.stratum == s)]) for s in range(4)]
        for arm in (False, True)
    ]
    own = list(range(len(drawn.outcome)))
    whole = [sum(arm, start=Moments.none(len(columns))) for arm in strata]
    compare = partial(difference, kind(metric), method="fixed")
    answers = {
        "fixed": compare(*(arm.take(own) for arm in whole)),
        "CUPED": compare(*whole),
        "stratified": compare(*([one.take(own) for one in arm] for arm in strata)),
    }
    found = {design: judge([answer], [apart]) for design, answer in answers.items()}
    for design, answer in answers.items():
        found[f"{design}, relative"] = judge([answer], [ratio], "relative")
    return found


def _daily(metric: str, drawn: Units, apart: float, ratio: float) -> Draw:
    """Read every day for four weeks, at any time, and naively."""
    n = len(drawn.treated)
    day = np.arange(n) * LOOKS // n
    both = up_to_days(np.vstack([drawn.outcome, drawn.before]), day, drawn.treated)
    bare = _without_last(both)
    plain = differences(kind(metric), bare, tuned_for=n)
    adjusted = differences(kind(metric), both, tuned_for=n)
    naive = differences(kind(metric), bare, method="fixed")
    return {
        "anytime": judge_many(plain.absolute, np.full(LOOKS, apart)),
        "anytime, relative": judge_many(plain.relative, np.full(LOOKS, ratio)),
        "anytime CUPED": judge_many(adjusted.absolute, np.full(LOOKS, apart)),
        "anytime CUPED, relative": judge_many(adjusted.relative, np.full(LOOKS, ratio)),
        "naive t, daily": judge_many(naive.absolute, np.full(LOOKS, apart)),
    }


def up_to_days(values: np.ndarray, day: np.ndarray, treated: np.ndarray) -> Arms:
    """Give the moments of both arms up to each day, of columns of units (k, n)."""
    # Columns are moved by their mean, so that no digits are lost.
    moved = values.mean(axis=1)
    values = values - moved[:, None]
    k, n = values.shape
    place = day * 2 + treated
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(2 * LOOKS))
    values = values[:, order]
    pairs = [(i, j) for i in range(k) for j in range(i, k)]
    crossed = (values[i] * values[j] for i, j in pairs)
    powers = [np.ones(n), *values, *crossed, *(values * values * values)]
    days = np.add.reduceat(np.stack(powers), starts, axis=1).reshape(-1, LOOKS, 2)
    added = np.moveaxis(days.cumsum(axis=1), 0, -1)
    units, sums, cubes = added[..., 0], added[..., 1 : k + 1], added[..., -k:]
    cross = np.empty((LOOKS, 2, k, k))
    for row, (i, j) in enumerate(pairs, start=k + 1):
        cross[..., i, j] = cross[..., j, i] = added[..., row]
    means = sums / units[..., None]
    squares = np.diagonal(cross, axis1=-2, axis2=-1)
    products = cross - sums[..., :, None] * means[..., None, :]
    third = cubes - 3.0 * means * squares + 2.0 * means**2 * sums
    return Arms(units, means + moved, products, third)


def _without_last(arms: Arms) -> Arms:
    """Leave the covariate out."""
    assert arms.cubes is not None
    return Arms(arms.n, arms.means[..., :-1], arms.products[..., :-1, :-1], arms.cubes[..., :-1])


def clusters(
    metric: Literal["conversion", "light"], number: int, effect: float, rng: np.random.Generator
) -> Draw:
    """Read clusters after four weeks, and every day."""
    arms = draw_clusters(metric, number, LOOKS, rng, effect=effect)
    apart = {"conversion": 0.1, "light": 1.0}[metric] * effect
    tuned = sum(float(arm.sizes[:, -1].sum()) for arm in arms)
    looks = [
        [Moments.of([arm.totals[:, day], arm.sizes[:, day]]) for arm in arms]
        for day in range(LOOKS)
    ]
    once = difference("mean", *looks[-1], method="fixed", clustered=True)
    daily = differences("mean", Arms.of(looks), tuned_for=tuned, clustered=True)
    return {
        "cluster": judge([once], [apart]),
        "cluster, relative": judge([once], [effect], "relative"),
        "anytime cluster": judge_many(daily.absolute, np.full(LOOKS, apart)),
        "anytime cluster, relative": judge_many(daily.relative, np.full(LOOKS, effect)),
    }


def held_out(customers: int, joiners: float, effect: float, rng: np.random.Generator) -> Draw:
    """Read a holdout of the same customers every week."""
    drawn = draw_holdout(customers, WEEKS, rng, effect=effect, joiners=joiners)
    total = drawn.spend.cumsum(axis=1)
    looks = []
    for week in range(WEEKS):
        here = drawn.joined <= week
        looks.append(
            tuple(
                Moments.of([total[rows, week], drawn.spend[rows, week]])
                for rows in (here & ~drawn.treated, here & drawn.treated)
            )
        )
    # Who joined later has been there for fewer weeks, in both arms alike.
    cumulated = holdout_truth(WEEKS, effect)
    truths = [
        float(cumulated[week - drawn.joined[drawn.joined <= week]].mean()) for week in range(WEEKS)
    ]
    answers = holdout(looks, horizon=WEEKS)
    naive = [difference("mean", *(arm.take([0]) for arm in look), method="fixed") for look in looks]
    return {"holdout": judge(answers, truths), "naive t, weekly": judge(naive, truths)}


def _units() -> Iterator[World]:
    for metric in (*METRICS, "per seldom order"):
        for smaller, larger in SIZES.get(metric, (MIDDLE,)):
            n = smaller + larger
            daily = smaller > 2_500
            name = f"{metric}, {smaller:,} an arm"
            if larger > smaller:
                name = f"{metric}, {smaller:,} against {larger:,}"
            for effect in (0.0, EFFECT):
                mapped = _in_region(metric, smaller)
                playing = partial(units, metric, n, larger / n, daily, effect)
                yield World("units", name, effect, mapped, playing)


def _in_region(metric: str, smaller: int) -> bool:
    """Tell where the map promises an answer."""
    if metric in ("orders", "lognormal 1"):
        return smaller >= 10_000
    if metric in ("lognormal 1.6", "per seldom order"):
        return False
    return smaller >= 5_000


def _clusters() -> Iterator[World]:
    for metric in ("conversion", "light"):
        for number in (20, 50):
            for effect in (0.0, EFFECT):
                playing = partial(clusters, metric, number, effect)
                yield World("clusters", f"{metric}, {number} an arm", effect, True, playing)


def _holdouts() -> Iterator[World]:
    for joiners in (0.0, 0.5):
        for effect in (0.0, EFFECT):
            name = f"400 of 4,000 held out, {joiners:.0%} join later"
            playing = partial(held_out, 4_000, joiners, effect)
            yield World("holdout", name, effect, True, playing)


def days(name: str, rng: np.random.Generator) -> Draw:
    """Read units every day for four weeks, in days that differ."""
    given = DAYS[name]
    day, treated, outcome, truth = given.draw(rng, LOOKS)
    looks = up_to_days(outcome[None], day, treated)
    metric = {"conversion": "proportion", "spend": "mean"}[given.kind]
    found = differences(metric, looks, tuned_for=given.units * LOOKS)
    naive = differences(metric, looks, method="fixed")
    return {
        "anytime": judge_many(found.absolute, truth[1]),
        "anytime, relative": judge_many(found.relative, truth[1] / truth[0]),
        "naive t, daily": judge_many(naive.absolute, truth[1]),
    }


def _unlike_days() -> Iterator[World]:
    for name, given in DAYS.items():
        effect = given.lasting + given.novelty
        yield World("days", name, effect, True, partial(days, name))


WORLDS = (*_clusters(), *_holdouts(), *_units(), *_unlike_days())
"""The worlds in which arms are compared from moments."""
