"""A plan: what an experiment of some length can see, what it costs, and what else would work."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import Struct

from liftwerk.errors import Refused
from liftwerk.experiments.planning.intake import HORIZON, Intake
from liftwerk.experiments.planning.nearest import Change, nearest
from liftwerk.experiments.planning.question import (
    Question,
    days_needed,
    detectable_by,
    power_by,
    units_by,
)
from liftwerk.stats.power import MOST_UNITS

LONGEST = 91
"""Days on which units may enter, unless another number is asked for: a quarter."""

WEEK = 7


class Point(Struct, frozen=True):
    """What is to be seen when units enter until the end of a day.

    Attributes
    ----------
    day : int
    units : int
    power : float
        Of seeing the effect that is planned for.
    detectable : float or None
        The effect, as a part of control's mean, that is seen with the planned power.
    """

    day: int
    units: int
    power: float
    detectable: float | None


class Simulated(Struct, frozen=True):
    """How often simulated experiments on the project's own history saw an effect.

    Attributes
    ----------
    effect : float
        As a part of control's mean; 0 tells how often a difference is seen where there is none.
    power : float
        By the last day.
    by_day : tuple of (int, float)
        Day, and how often it was seen by then.
    runs : int
    """

    effect: float
    power: float
    by_day: tuple[tuple[int, float], ...]
    runs: int


class Cost(Struct, frozen=True):
    """What is not earned while control is kept, if the effect is as large as planned.

    Attributes
    ----------
    amount : float
    currency : str
    words : str
        How it comes about.
    """

    amount: float
    currency: str
    words: str


class Beside(Struct, frozen=True):
    """What the planned number of units tells of another metric.

    Attributes
    ----------
    metric, role : str
        ``primary`` or ``counter``.
    value : float
        Its mean in the history.
    detectable : float or None
        The effect that is seen with the planned power, as a part of it.
    margin : float or None
        Of a counter-metric: by how much it may get worse.
    enough : bool or None
        Whether a loss beyond the margin would be ruled out if there is none.
    """

    metric: str
    role: str
    value: float
    detectable: float | None
    margin: float | None = None
    enough: bool | None = None


class Plan(Struct, frozen=True):
    """How long an experiment takes, and what it shows.

    Attributes
    ----------
    experiment : str
        Empty where it is only calculated.
    design, metric, kind, unit : str
    baseline, deviation : float
        Mean of the metric, and standard deviation of a unit's value.
    reduction : float
        The part of the variance that covariates take out.
    effect : float
        As a part of the baseline.
    method : str
    level, power : float
    comparisons : int
        That are judged together by Holm.
    arms : dict of str to float
        Parts of the entering units; control first.
    share : float
        The part of all units that may enter.
    units : int
        That have to enter, over all arms; what an anytime interval is tuned for.
    per_arm : dict of str to int
    entering : int
        That will have entered after these days.
    days : int or None
        On which units enter; ``within`` where even these are too few, None where nothing says how
        many come in a day.
    within : int
        Days that were allowed.
    matures : float
        Days after which the last one that enters has been seen whole.
    known_in : int or None
        Weeks after which the answer is known; None where it will not be.
    feasible : bool
    detectable : float or None
        The effect that is seen at the end.
    curve : tuple of Point
        By week.
    simulated : tuple of Simulated
    cost : Cost or None
    beside : tuple of Beside
    nearest : tuple of Change
        What alone would make it possible, the smallest change first.
    notes : tuple of str
        What it rests on.
    """

    experiment: str
    design: str
    metric: str
    kind: str
    unit: str
    baseline: float
    deviation: float
    reduction: float
    effect: float
    method: str
    level: float
    power: float
    comparisons: int
    arms: dict[str, float]
    share: float
    units: int
    per_arm: dict[str, int]
    entering: int
    days: int | None
    within: int
    matures: float
    known_in: int | None
    feasible: bool
    detectable: float | None
    curve: tuple[Point, ...] = ()
    simulated: tuple[Simulated, ...] = ()
    cost: Cost | None = None
    beside: tuple[Beside, ...] = ()
    nearest: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


def planned(
    question: Question,
    intake: Intake,
    *,
    within: int = LONGEST,
    matures: float = 0.0,
    holdout: bool = False,
    told: dict[str, Any],
) -> Plan:
    """Work a plan out.

    Parameters
    ----------
    question : Question
    intake : Intake
    within : int
        Days on which units may enter; at most `HORIZON`.
    matures : float
        Days after which a unit has been seen whole.
    holdout : bool
        Whether control is a holdout.
    told : dict
        What the plan says besides: ``experiment``, ``design``, ``metric``, ``unit``, ``notes``.

    Returns
    -------
    Plan
    """
    within = min(max(within, 1), HORIZON)
    found = days_needed(question, intake, within)
    days = found or within
    changes: tuple[Change, ...] = ()
    if found is None:
        changes = nearest(question, intake, within, holdout)
    known_in = None
    if found is not None:
        known_in = math.ceil((days + matures) / WEEK)
    units = math.ceil(min(units_by(question, intake, days), MOST_UNITS))
    marks = sorted({*range(WEEK, days, WEEK), days})
    points = tuple(_point(question, intake, day) for day in marks)
    return Plan(
        kind=question.baseline.kind,
        baseline=question.baseline.value,
        deviation=math.sqrt(question.baseline.variance),
        reduction=question.baseline.reduction,
        effect=question.effect,
        method=question.method,
        level=question.level,
        power=question.wanted,
        comparisons=question.family,
        arms=dict(question.arms),
        share=question.share,
        units=units,
        per_arm={arm: math.ceil(part * units) for arm, part in question.arms.items()},
        entering=math.floor(question.share * intake.by(days)),
        days=days,
        within=within,
        matures=matures,
        known_in=known_in,
        feasible=found is not None,
        detectable=points[-1].detectable,
        curve=points,
        nearest=changes,
        **told,
    )


def demand_feasible(plan: Plan) -> None:
    """Refuse a plan that cannot work, with the nearest that can.

    Raises
    ------
    Refused
        If it is so.
    """
    if plan.feasible:
        return
    seen = "none at all"
    if plan.detectable is not None:
        seen = f"{100 * abs(plan.detectable):.3g}% at least"
    effect = f"an effect of {100 * abs(plan.effect):.3g}% on {plan.metric}"
    what = f"{effect} is out of reach: what {plan.within} days show is {seen}"
    hint = "no single change would do: plan for a larger effect, with fewer arms, for longer"
    if plan.nearest:
        hint = f"nearest: {plan.nearest[0].words}"
    where = "experiment plan"
    if plan.experiment:
        where = f"experiment {plan.experiment}"
    raise Refused(what, where, hint)


def plain(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON-able values, as it is registered."""
    said: dict[str, Any] = msgspec.to_builtins(plan)
    return said


def finite(effect: float) -> float | None:
    """Return an effect, None where none would be seen."""
    if math.isfinite(effect):
        return effect
    return None


def _point(question: Question, intake: Intake, day: int) -> Point:
    units = math.floor(question.share * intake.by(day))
    return Point(
        day, units, power_by(question, intake, day), finite(detectable_by(question, intake, day))
    )
