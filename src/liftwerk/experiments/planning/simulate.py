"""Power by simulation: experiments are made of the project's own units, and read as real ones.

Units are drawn with replacement, with the day on which they entered, and dealt to two arms; the
treated get the effect. What was seen is looked at after every day, by the same arithmetic as a
reading. It holds what a formula takes for granted: tails, covariates, and days of unequal size.

No unit is drawn by itself: if the units of a day come at random, how often each of the history's is
drawn into an arm is a Poisson number of its own, and only these numbers are drawn. So a plan of
fifty million units is simulated in the time of one of a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.experiments.compare import Question as Read
from liftwerk.experiments.planning.history import History
from liftwerk.experiments.planning.plan import Plan, Simulated
from liftwerk.experiments.planning.question import Question
from liftwerk.stats.difference import Contrast, contrast
from liftwerk.stats.moments import Moments

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

RUNS = 200
MOST_ROWS = 100_000
"""Units of the history that are drawn from; of more, as many are chosen by lot."""

MOST_LOOKS = 8
"""Days that are looked at, evenly spread, the last one among them."""

TIMES = (0.0, 0.5, 1.0, 1.5)
"""Effects that are tried, in parts of the planned one."""

DOUBT = 0.1
"""What simulations may fall short of the planned power before it is told."""


def doubts(plan: Plan) -> Iterable[str]:
    """Say where simulation promises clearly less than the formula.

    Parameters
    ----------
    plan : Plan
        With what was simulated.

    Yields
    ------
    str
        Once at most.
    """
    for one in plan.simulated:
        if plan.feasible and one.effect == plan.effect and one.power < plan.power - DOUBT:
            yield (
                f"Only {100 * one.power:.0f}% of the simulated experiments saw it: an effect that"
                " is multiplied on makes values vary more than the formula takes for granted."
            )


def simulate(
    history: History,
    read: Read,
    question: Question,
    days: int,
    rng: np.random.Generator,
    runs: int = RUNS,
) -> tuple[Simulated, ...]:
    """Say how often an effect is seen in experiments made of history.

    Parameters
    ----------
    history : History
    read : liftwerk.experiments.compare.Question
        Where the metric's columns are.
    question : Question
        The plan's.
    days : int
        Days on which units enter; those beyond the history repeat it.
    rng : numpy.random.Generator
    runs : int

    Returns
    -------
    tuple of Simulated
        By effect.
    """
    control, treated = question.split.control, question.split.treated
    units = question.share * (control + treated) * history.intake.by(days)
    looks = np.unique(np.linspace(1, days, min(days, MOST_LOOKS)).round().astype(np.int64))
    levels = [question.effect * times for times in TIMES]
    pool = _Pool.of(history, read, looks, rng)
    seen = np.zeros((len(levels), len(looks)), dtype=np.int64)
    for _ in range(runs):
        usual = pool.drawn(question.share * control, rng)
        others = pool.drawn(question.share * treated, rng)
        for place, effect in enumerate(levels):
            arms = [usual.sums(), others.sums(effect, pool.share, rng)]
            seen[place] += _seen(read, question, arms, units)
    return tuple(
        Simulated(
            effect,
            float(counts[-1] / runs),
            tuple((int(look), float(one / runs)) for look, one in zip(looks, counts, strict=True)),
            runs,
        )
        for effect, counts in zip(levels, seen, strict=True)
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Which of the history's units an arm has, and how often, between each two looks."""

    values: Floats
    rows: list[Ints]
    counts: list[Ints]
    is_share: bool

    def sums(
        self, effect: float = 0.0, share: float = 0.0, rng: np.random.Generator | None = None
    ) -> list[Moments]:
        """Take the moments of what entered by each look, with an effect; stretches add up."""
        found, so_far = [], Moments.none(len(self.values))
        for rows, counts in zip(self.rows, self.counts, strict=True):
            values = self.values[:, rows]
            if self.is_share and effect != 0.0 and rng is not None:
                values, counts = _turned(values, counts, effect, share, rng)
            so_far = so_far + _moments(values, counts)
            found.append(so_far)
        if self.is_share:
            return found
        return [_times(one, 1.0 + effect) for one in found]


@dataclass(frozen=True, eq=False)
class _Pool:
    """Units to draw from, and how many of each are expected between two looks."""

    values: Floats
    rates: list[Floats]
    is_share: bool
    share: float

    @classmethod
    def of(cls, history: History, read: Read, looks: Ints, rng: np.random.Generator) -> _Pool:
        """Say how often each unit is expected, were all that come to enter."""
        values, day = history.units.values[list(read.columns)], history.day
        share = float(values[0].mean())
        if len(day) > MOST_ROWS:
            kept = rng.choice(len(day), MOST_ROWS, replace=False)
            values, day = values[:, kept], day[kept]
        there = np.bincount(day, minlength=history.days)[: history.days]
        expected = np.diff(history.intake.units[: looks[-1]], prepend=0.0)
        # A day beyond the history has units like those of the days that were seen last.
        last = slice(history.days * 3 // 4, history.days)
        rates, begin = [], 0
        for end in looks:
            of = np.zeros(history.days)
            inside = expected[begin : min(end, history.days)]
            of[begin : begin + len(inside)] = inside
            of[last] += expected[max(begin, history.days) : end].sum() / (last.stop - last.start)
            # Of a day that has none, units of all days are taken.
            anywhere = of[there == 0].sum() / len(day)
            rates.append(of[day] / np.maximum(there[day], 1) + anywhere)
            begin = int(end)
        return cls(values, rates, read.kind == "proportion", share)

    def drawn(self, part: float, rng: np.random.Generator) -> _Drawn:
        """Draw an arm that gets some part of all units."""
        rows, counts = [], []
        for rate in self.rates:
            able = np.flatnonzero(rate)
            many = rng.poisson(part * rate[able])
            rows.append(able[many > 0])
            counts.append(many[many > 0])
        return _Drawn(self.values, rows, counts, self.is_share)


def _turned(
    values: Floats, counts: Ints, effect: float, share: float, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Let an effect make more do it, or fewer: of each unit that does not, or does, some copies."""
    could, become, chance = values[0] == 0.0, 1.0, effect * share / (1.0 - share)
    if effect < 0.0:
        could, become, chance = values[0] == 1.0, 0.0, -effect
    many = np.zeros_like(counts)
    many[could] = rng.binomial(counts[could], min(chance, 1.0))
    copies = values[:, many > 0].copy()
    copies[0] = become
    return np.hstack([values, copies]), np.concatenate([counts - many, many[many > 0]])


def _moments(values: Floats, counts: Ints) -> Moments:
    """Take the moments of units that are there several times."""
    n = int(counts.sum())
    if n == 0:
        return Moments.none(len(values))
    means = values @ counts / n
    centred = values - means[:, None]
    weighted = centred * counts
    return Moments(n, means, weighted @ centred.T, (weighted * centred * centred).sum(axis=1))


def _times(moments: Moments, factor: float) -> Moments:
    """Multiply the first column."""
    scale = np.ones(len(moments.means))
    scale[0] = factor
    cubes = moments.cubes
    if cubes is not None:
        cubes = cubes * scale**3
    products = moments.products * np.outer(scale, scale)
    return Moments(moments.n, moments.means * scale, products, cubes)


def _seen(
    read: Read, question: Question, arms: Sequence[Sequence[Moments]], units: float
) -> NDArray[np.bool_]:
    """Say at which looks a difference has been seen by then."""
    pairs = zip(arms[0], arms[1], strict=True)
    found = [_excludes(control, treated, read, question, units) for control, treated in pairs]
    if question.method == "fixed":
        return np.array([*[False] * (len(found) - 1), found[-1]])
    return np.logical_or.accumulate(np.array(found))


def _excludes(
    control: Moments, treated: Moments, read: Read, question: Question, units: float
) -> bool:
    looks = question.looks
    found = contrast(
        read.kind, control, treated, method=looks.method, tuned_for=units, level=looks.level
    )
    return isinstance(found, Contrast) and found.p_value <= 1.0 - looks.level
