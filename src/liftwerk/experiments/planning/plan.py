"""A plan: what an experiment of some length can see, what it costs, and what else would work."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from liftwerk.errors import Refused

LONGEST = 91
"""Days that an experiment may take, unless another number is asked for: a quarter."""

HORIZON = 364
"""Days that are looked ahead: nobody plans an experiment for longer than a year."""

WEEK = 7

Counted: TypeAlias = Literal["units", "blocks", "markets"]
"""What gets an arm: it is what a plan counts."""


class Change(Struct, frozen=True):
    """One change that alone makes a plan possible.

    Attributes
    ----------
    what : str
        ``days``, ``effect``, ``share``, ``control``, ``arms``, ``block`` or ``markets``.
    to : float
        What it would have to be.
    times : float
        How many times as much as is asked for, or as little: the nearest comes first.
    words : str
        What to write or to do.
    """

    what: str
    to: float
    times: float
    words: str


class Point(Struct, frozen=True):
    """What is to be seen when an experiment goes on until the end of a day.

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


class Cell(Struct, frozen=True):
    """What is to be seen of the markets of one arm.

    Attributes
    ----------
    arm : str
    markets : tuple of str
    power : float
        Of seeing the effect that is planned for.
    detectable : float or None
        The smallest effect tried that is seen with the planned power.
    false_alarms : float
        How often an effect was claimed in windows of the history where there was none.
    windows : int
        Windows of the history that were tried; they overlap.
    part : float
        The markets' part of the whole metric.
    break_even : float or None
        Of a metric in money: what the arm may cost over the whole test to pay for itself if the
        effect is as planned. Incremental ROAS is 1 there.
    """

    arm: str
    markets: tuple[str, ...]
    power: float
    detectable: float | None
    false_alarms: float
    windows: int
    part: float
    break_even: float | None


class Plan(Struct, frozen=True):
    """How long an experiment takes, and what it shows.

    Attributes
    ----------
    experiment : str
        Empty where it is only calculated.
    design, metric, kind, unit : str
    baseline, deviation : float
        Mean of the metric, and standard deviation of a unit's value: that of a period where arms
        take turns, of a market's day in a geo test.
    reduction : float
        The part of the variance that covariates take out: seasons where arms take turns, the other
        markets in a geo test.
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
        That have to enter, over all arms; what an anytime interval is tuned for. What they are is
        in ``counted``: units, blocks of time, or markets.
    per_arm : dict of str to int
    entering : int
        That will have entered after these days.
    days : int or None
        On which units enter, arms take turns, or markets are treated; where it is not feasible,
        those that see most, None where nothing says how many units come in a day.
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
    counted : str
        What gets an arm: ``units``, ``blocks`` or ``markets``.
    cells : tuple of Cell
        Of a geo test, an arm each.
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
    counted: Counted = "units"
    cells: tuple[Cell, ...] = ()


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
    lasts = plan.days or plan.within
    what = f"{effect} is out of reach: what {lasts} days show is {seen}"
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
