"""Answer a question about units: how many, on how many days, and what else would do."""

from __future__ import annotations

import math
from typing import Any

from liftwerk.experiments.planning.intake import Intake
from liftwerk.experiments.planning.nearest import nearest
from liftwerk.experiments.planning.plan import HORIZON, LONGEST, WEEK, Change, Plan, Point, finite
from liftwerk.experiments.planning.question import (
    Question,
    days_needed,
    detectable_by,
    power_by,
    units_by,
)
from liftwerk.stats.power import MOST_UNITS


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


def _point(question: Question, intake: Intake, day: int) -> Point:
    units = math.floor(question.share * intake.by(day))
    return Point(
        day, units, power_by(question, intake, day), finite(detectable_by(question, intake, day))
    )
