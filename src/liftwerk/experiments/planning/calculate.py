"""A plan without a project: a few figures in, days and units out."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from liftwerk.errors import ProjectError
from liftwerk.experiments.planning.answer import planned
from liftwerk.experiments.planning.intake import Intake
from liftwerk.experiments.planning.plan import LONGEST, Plan
from liftwerk.experiments.planning.question import Question
from liftwerk.stats.difference.methods import MethodName
from liftwerk.stats.power import Baseline, units_needed

WHERE = "experiment plan"
MOST_ARMS = 20
ROUNDING = 1e-6
"""What is needed, no more and no less, might fall short by a rounding error."""


def baseline_of(share: float | None, mean: float | None, deviation: float | None) -> Baseline:
    """Make a baseline of a share, or of a mean and a standard deviation.

    Raises
    ------
    ProjectError
        If it is neither, or both, or no such numbers.
    """
    if share is not None and mean is None and deviation is None:
        if not 0.0 < share < 1.0:
            hint = "write a share such as 2%"
            raise ProjectError(f"the baseline is {share:g}", WHERE, hint)
        return Baseline.proportion(share)
    if share is None and mean is not None and deviation is not None:
        if mean == 0.0 or deviation <= 0.0:
            hint = "an effect is a part of the mean: write one that is not 0, and what it varies by"
            raise ProjectError(f"mean {mean:g} and sd {deviation:g} tell nothing", WHERE, hint)
        return Baseline("mean", mean, deviation**2)
    hint = "write --baseline 2%, or --mean 45 --sd 80"
    raise ProjectError("no baseline is given, or two", WHERE, hint)


def calculate(
    baseline: Baseline,
    effect: float,
    *,
    arms: int = 2,
    a_day: float | None = None,
    within: int = LONGEST,
    method: MethodName = "anytime",
    level: float = 0.95,
    power: float = 0.8,
) -> Plan:
    """Plan an experiment of which only a few figures are known.

    Parameters
    ----------
    baseline : Baseline
    effect : float
        As a part of the baseline.
    arms : int
        Control among them; all of the same size.
    a_day : float, optional
        Units that enter each day. Without it days are not told: units come as they are needed.
    within : int
        Days on which they may.
    method, level, power : as of an experiment

    Returns
    -------
    Plan

    Raises
    ------
    ProjectError
        If a figure makes no sense.

    Examples
    --------
    >>> plan = calculate(Baseline.proportion(0.02), 0.05, a_day=20_000.0, method="fixed")
    >>> plan.per_arm["control"], plan.days
    (315203, 32)
    """
    _demand(effect, arms, a_day)
    names = ["control", *(f"arm {number}" for number in range(1, arms))]
    question = Question(
        baseline,
        effect,
        dict.fromkeys(names, 1.0 / arms),
        family=arms - 1,
        method=method,
        level=level,
        wanted=power,
    )
    told: dict[str, Any] = {
        "experiment": "",
        "design": "ab",
        "metric": "the metric",
        "unit": "",
        "notes": ("Nothing of a project was looked at: the figures are those that were given.",),
    }
    if baseline.kind == "proportion":
        told["unit"] = "share"
    if a_day is None:
        needed = units_needed(baseline, question.absolute, power, question.split, question.looks)
        if not math.isfinite(needed):
            raise ProjectError(f"an effect of {effect:g} is never seen", WHERE, "plan a larger one")
        # As many days as there are looks: nothing says how many units a day has.
        looks = len(question.looks.at)
        intake = Intake.steady(needed * (1.0 + ROUNDING) / looks)
        plan = planned(question, intake, within=looks, told=told)
        return msgspec.structs.replace(plan, days=None, known_in=None, curve=())
    return planned(question, Intake.steady(a_day), within=within, told=told)


def _demand(effect: float, arms: int, a_day: float | None) -> None:
    if effect == 0.0 or abs(effect) > 10.0:
        raise ProjectError(f"the effect is {effect:g}", WHERE, "write a part such as 5%")
    if not 2 <= arms <= MOST_ARMS:
        hint = f"control and at least one other, at most {MOST_ARMS}"
        raise ProjectError(f"{arms} arms cannot be compared", WHERE, hint)
    if a_day is not None and not 0.0 < a_day < math.inf:
        raise ProjectError(f"{a_day:g} units a day", WHERE, "write how many enter each day")
