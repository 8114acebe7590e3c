"""Power by simulation: experiments are made of the project's own units, and read as real ones.

Units are drawn with replacement, with the day on which they entered, and dealt to two arms; the
treated get the effect. What was seen is looked at after every day, by the same arithmetic as a
reading. It holds what a formula takes for granted: tails, covariates, and days of unequal size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
MOST_UNITS = 100_000
"""Experiments with more units are not simulated: by then means are normal, as formulas say."""

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
        By effect; nothing where there would be too many units.
    """
    control, treated = question.split.control, question.split.treated
    units = question.share * (control + treated) * history.intake.by(days)
    if units > MOST_UNITS:
        return ()
    looks = np.unique(np.linspace(1, days, min(days, MOST_LOOKS)).round().astype(np.int64))
    levels = [question.effect * times for times in TIMES]
    seen = np.zeros((len(levels), len(looks)), dtype=np.int64)
    for _ in range(runs):
        rows, day, arm = _drawn(history, question, days, rng)
        for place, effect in enumerate(levels):
            values = _with_effect(history, read, effect, rows, arm, rng)
            arms = [_sums(values[:, arm == one], day[arm == one], looks) for one in (0, 1)]
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


def _drawn(
    history: History, question: Question, days: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """Draw units of the two arms: their rows, the day they enter (from 1) and the arm."""
    control, treated = question.split.control, question.split.treated
    expected = np.diff(history.intake.units[:days], prepend=0.0)
    many = rng.poisson(question.share * (control + treated) * expected)
    day = np.repeat(np.arange(1, days + 1), many)
    order = np.argsort(history.day, kind="stable")
    starts = np.searchsorted(history.day[order], np.arange(history.days + 1))
    # A day beyond the history has units like those of the days that were seen last.
    of = np.minimum(day - 1, history.days - 1)
    late = day > history.days
    of[late] = rng.integers(max(history.days * 3 // 4, 0), history.days, int(late.sum()))
    low, high = starts[of], starts[of + 1]
    empty = high <= low
    low[empty], high[empty] = 0, len(order)
    rows = order[low + (rng.random(len(day)) * (high - low)).astype(np.int64)]
    arm = (rng.random(len(day)) < treated / (control + treated)).astype(np.int64)
    return rows, day, arm


def _with_effect(
    history: History,
    read: Read,
    effect: float,
    rows: Ints,
    arm: Ints,
    rng: np.random.Generator,
) -> Floats:
    """Give the treated what the effect adds: of a share more ones, of a sum so much more of it."""
    values = history.units.values[list(read.columns)][:, rows].copy()
    first = values[0]
    if read.kind != "proportion":
        first[arm == 1] *= 1.0 + effect
        return values
    share = float(history.units.values[read.columns[0]].mean())
    if effect >= 0.0:
        turned = rng.random(len(rows)) < effect * share / (1.0 - share)
        first[(arm == 1) & turned] = 1.0
    else:
        first[(arm == 1) & (rng.random(len(rows)) < -effect)] = 0.0
    return values


def _sums(values: Floats, day: Ints, looks: Ints) -> list[Moments]:
    """Take the moments of what entered by each look; days add up."""
    edges = np.searchsorted(day, looks, side="right")
    found, so_far, begin = [], Moments.none(len(values)), 0
    for end in edges:
        so_far = so_far + Moments.of(values[:, begin:end])
        found.append(so_far)
        begin = end
    return found


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
