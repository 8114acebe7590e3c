"""Play simulated experiments and count how often what is read is true: cells of the coverage map.

A *world* is drawn many times; each draw is read in several *designs*. One of each makes a *cell*:
the share of draws that are answered, and of these the share whose interval holds the truth (where
looks are many: at every one of them). Shared by the test and the soak
(`soak/experiments_coverage.py`); one more world is one function and one line in `WORLDS`.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
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
from liftwerk.stats.difference import Difference, difference
from liftwerk.stats.estimate import Estimate
from liftwerk.stats.holdout import holdout
from liftwerk.stats.moments import Moments

FILE = Path(__file__).parents[2] / "examples" / "hillstrom" / "data" / "hillstrom.csv.gz"
LOOKS = 28
WEEKS = 26
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
    """

    answered: bool
    held: bool
    width: float


Draw: TypeAlias = dict[str, Played]


@dataclass(frozen=True)
class World:
    """Something to draw from and to read.

    Attributes
    ----------
    name : str
    effect : float
        0 where nothing works: what is not held there is a false positive.
    mapped : bool
        Whether its intervals have to be given; elsewhere they may be `Unknown`.
    play : callable
        One draw -> what each design made of it. A design whose name starts with ``anytime`` or
        ``holdout`` may cover more often than it promises, one with ``naive`` in it is shown to
        fail.
    draws : int
    """

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
        Median.
    """

    world: str
    design: str
    effect: float
    mapped: bool
    draws: int
    answered: int
    missed: int
    width: float

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
        if binom.sf(self.missed - 1, self.answered, 0.05) < alpha:
            return "short"
        if self.mapped and self.answered < 0.95 * self.draws:
            return "silent"
        one_sided = self.design.startswith(("anytime", "holdout"))
        if not one_sided and binom.cdf(self.missed, self.answered, 0.05) < alpha:
            return "long"
        return "holds"


def play(world: str, seed: int, draws: int | None = None) -> list[Cell]:
    """Draw a world many times and count."""
    chosen = WORLDS[world]
    counted: dict[str, list[Played]] = {}
    repeats = chosen.draws if draws is None else draws
    for draw in range(repeats):
        found = chosen.play(np.random.default_rng([seed, draw]))
        for design, played in found.items():
            counted.setdefault(design, []).append(played)
    return [_count(chosen, design, each) for design, each in counted.items()]


def play_many(
    worlds: Iterable[str], seed: int, processes: int, draws: int | None = None
) -> Iterator[list[Cell]]:
    """Play worlds on some cores; the result does not depend on how many."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(partial(play, seed=seed, draws=draws), worlds)


def _count(world: World, design: str, played: list[Played]) -> Cell:
    answered = [each for each in played if each.answered]
    # An interval that missed at an earlier look is a miss, also where the last one is not given.
    missed = sum(not each.held for each in played)
    widths = [each.width for each in answered]
    middle = float(np.median(widths)) if widths else float("nan")
    return Cell(
        world.name,
        design,
        world.effect,
        world.mapped,
        len(played),
        max(len(answered), missed),
        missed,
        middle,
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


@cache
def orders() -> np.ndarray:
    """What an order of the published trial was worth."""
    spend = read(FILE)[1].spend
    return spend[spend > 0.0]


def units_once(metric: str, n: int, share: float, effect: float, rng: np.random.Generator) -> Draw:
    """Read units at a fixed time: plainly, with a covariate, within strata."""
    drawn = draw_units(metric, n, rng, effect=effect, orders=orders(), share=share)
    control, treated = truth(metric, effect, orders())
    columns = np.vstack([drawn.outcome, drawn.before])
    strata = [
        [Moments.of(columns[:, (drawn.treated == arm) & (drawn.stratum == s)]) for s in range(4)]
        for arm in (False, True)
    ]
    own = list(range(len(drawn.outcome)))
    whole = [sum(arm, start=Moments.none(len(columns))) for arm in strata]
    compare = partial(difference, kind(metric), method="fixed")
    plain = compare(*(arm.take(own) for arm in whole))
    adjusted = compare(*whole)
    within = compare(*([one.take(own) for one in arm] for arm in strata))
    apart, ratio = treated - control, treated / control - 1.0
    return {
        "fixed": judge([plain], [apart]),
        "fixed, relative": judge([plain], [ratio], "relative"),
        "CUPED": judge([adjusted], [apart]),
        "CUPED, relative": judge([adjusted], [ratio], "relative"),
        "stratified": judge([within], [apart]),
        "stratified, relative": judge([within], [ratio], "relative"),
    }


def units_daily(metric: str, n: int, share: float, effect: float, rng: np.random.Generator) -> Draw:
    """Read units every day for four weeks, at any time, and naively."""
    drawn = draw_units(metric, n, rng, effect=effect, orders=orders(), share=share)
    control, treated = truth(metric, effect, orders())
    own = list(range(len(drawn.outcome)))
    plain, adjusted, naive = [], [], []
    for arms in _days(drawn):
        bare = [arm.take(own) for arm in arms]
        plain.append(difference(kind(metric), *bare, tuned_for=n))
        adjusted.append(difference(kind(metric), *arms, tuned_for=n))
        naive.append(difference(kind(metric), *bare, method="fixed"))
    apart, ratio = [treated - control] * LOOKS, [treated / control - 1.0] * LOOKS
    return {
        "anytime": judge(plain, apart),
        "anytime, relative": judge(plain, ratio, "relative"),
        "anytime CUPED": judge(adjusted, apart),
        "naive t, daily": judge(naive, apart),
    }


def _days(drawn: Units) -> Iterator[list[Moments]]:
    """Give the moments of both arms up to each day."""
    columns = np.vstack([drawn.outcome, drawn.before])
    arms = [Moments.none(len(columns)), Moments.none(len(columns))]
    for day in np.array_split(np.arange(len(drawn.treated)), LOOKS):
        for arm in (0, 1):
            arms[arm] = arms[arm] + Moments.of(columns[:, day[drawn.treated[day] == arm]])
        yield list(arms)


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
    daily = [difference("mean", *look, tuned_for=tuned, clustered=True) for look in looks]
    return {
        "cluster": judge([once], [apart]),
        "cluster, relative": judge([once], [effect], "relative"),
        "anytime cluster": judge(daily, [apart] * LOOKS),
    }


def held_out(customers: int, joiners: float, effect: float, rng: np.random.Generator) -> Draw:
    """Read a holdout of the same customers every week for half a year."""
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
    for metric in METRICS:
        for each, share in ((2_500, 0.5), (5_000, 0.5), (10_000, 0.5), (10_000, 0.9)):
            for effect in (0.0, 0.2):
                mapped = _in_region(metric, each)
                n = round(each / min(share, 1.0 - share))
                arms = f"{each:,} an arm" if share == 0.5 else f"{each:,} in the smaller arm of 10%"
                for read_how, how in ((units_once, "once"), (units_daily, "daily")):
                    if how == "daily" and share != 0.5:
                        continue
                    yield World(
                        f"{metric}, {arms}, {how}, effect {effect:g}",
                        effect,
                        mapped,
                        partial(read_how, metric, n, share, effect),
                    )


def _in_region(metric: str, each: int) -> bool:
    """Tell where the map promises an answer."""
    if metric in ("orders", "lognormal 1"):
        return each >= 10_000
    if metric == "lognormal 1.6":
        return False
    return each >= 5_000


def _clusters() -> Iterator[World]:
    for metric in ("conversion", "light"):
        for number in (20, 50):
            for effect in (0.0, 0.2):
                name = f"clusters, {metric}, {number} an arm, effect {effect:g}"
                yield World(name, effect, True, partial(clusters, metric, number, effect))


def _holdouts() -> Iterator[World]:
    for joiners in (0.0, 0.5):
        for effect in (0.0, 0.2):
            name = f"holdout of 10% of 10,000, {joiners:.0%} join later, effect {effect:g}"
            yield World(name, effect, True, partial(held_out, 10_000, joiners, effect))


WORLDS = {world.name: world for source in (_units, _clusters, _holdouts) for world in source()}
"""All worlds of the map; others append theirs."""
