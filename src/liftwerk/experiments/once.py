"""Lay out what is read once, a geo test or a switchback, as every reading is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.experiments.checks.registration import as_registered
from liftwerk.experiments.compare import answer_of, harmless_within
from liftwerk.experiments.definition import EXPERIMENTS, Arm, ExperimentDefinition
from liftwerk.experiments.geo.results import GeoReading
from liftwerk.experiments.read import unit_of
from liftwerk.experiments.reading import Check, Comparison, Counted, Reading, Role
from liftwerk.experiments.state import State
from liftwerk.experiments.switchback.read import Reading as SwitchbackReading
from liftwerk.experiments.verdict import Asked, judge
from liftwerk.metrics.definition import METRICS
from liftwerk.metrics.kinds import kind_of
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.multiplicity import holm

ByMetric: TypeAlias = Mapping[str, GeoReading] | Mapping[str, SwitchbackReading]


class Once(Struct, frozen=True):
    """A reading, and what only its design has.

    Attributes
    ----------
    reading : Reading
        Figures beside control, checks and verdict, as every design has them.
    by_metric : mapping of str to GeoReading or SwitchbackReading
        Donors and days of each cell, or turns and carry-over of each arm.
    end : datetime
        Until when it was read; from when on is ``reading.started``.
    """

    reading: Reading
    by_metric: ByMetric
    end: datetime


class Seen(Struct, frozen=True):
    """What was seen of one metric of one arm.

    Attributes
    ----------
    metric, arm : str
    control, treated : float or None
        What would have been, and what was.
    absolute, relative : Estimate or Unknown
    p_value : float or None
        By the method of the interval.
    """

    metric: str
    arm: str
    control: float | None
    treated: float | None
    absolute: Estimate | Unknown
    relative: Estimate | Unknown
    p_value: float | None


def lay_out(
    project: Project,
    state: State,
    seen: Sequence[Seen],
    checks: Sequence[Check],
    *,
    unit: str,
    units: Mapping[str, int],
    start: datetime,
    notes: tuple[str, ...],
    sql: dict[str, str],
    now: datetime,
) -> Reading:
    """Make a reading of figures that are there.

    Parameters
    ----------
    project : Project
    state : State
        Of an experiment that was started.
    seen : sequence of Seen
        Metrics in their declared order, each with its arms.
    checks : sequence of Check
        Whether it is as it was registered is added to them.
    unit : str
        What an effect is of: ``market and day``.
    units : mapping of str to int
        Arm -> its markets or blocks.
    start : datetime
        From when on it was read.
    notes : tuple of str
    sql : dict of str to str
    now : datetime

    Returns
    -------
    Reading
        Each interval is of one question; answers go by Holm's p-value over all primary metrics.
    """
    experiment = state.definition
    level, effect = experiment.level.value, experiment.effect.value
    # What people call it and its arms is no part of what was registered.
    declared = project.get(EXPERIMENTS)[state.name]
    arms = tuple(
        Counted(arm, _label(declared.arms, arm), float(share), units[arm], units[arm], units[arm])
        for arm, share in experiment.shares.items()
    )
    comparisons = _compared(project, experiment, seen)
    all_checks = (*checks, Check("registration", *as_registered(project, state)))
    over = state.stopped is not None
    asked = Asked(unit, effect, fixed=True, wait=_wait(state), over=over)
    return Reading(
        experiment=state.name,
        design=experiment.design,
        description=declared.description,
        unit=unit,
        as_of=now,
        started=start,
        method="fixed",
        level=level,
        effect=effect,
        arms=arms,
        comparisons=comparisons,
        exposed=(),
        segments=(),
        looks=(),
        checks=all_checks,
        verdict=judge(arms, comparisons, all_checks, asked),
        mixed=0,
        testers=0,
        notes=notes,
        sql=sql,
    )


def _label(declared: Mapping[str, Arm], arm: str) -> str:
    if arm in declared and declared[arm].label:
        return declared[arm].label
    return arm


def _wait(state: State) -> str:
    """Say until when a running one has to be waited for."""
    if state.stopped is not None or state.started is None:
        return ""
    days = state.plan.get("days")
    if not isinstance(days, int):  # it was not planned
        return "it is read once, when it was stopped"
    last = (state.started + timedelta(days=days)).date().isoformat()
    return f"it is read once, when it was stopped after its {days} planned days, on {last}"


def _compared(
    project: Project, experiment: ExperimentDefinition, seen: Sequence[Seen]
) -> tuple[Comparison, ...]:
    judged = [one for one in seen if one.metric in experiment.metrics]
    # Of what is unknown nothing is claimed, and it is asked all the same.
    asked = [1.0 if one.p_value is None else one.p_value for one in judged]
    adjusted = {
        (one.metric, one.arm): p_value
        for one, p_value in zip(judged, holm(asked).tolist(), strict=True)
    }
    made = []
    for one in seen:
        up = project.get(METRICS)[one.metric].better == "higher"
        role, margin, harmless = _role(experiment, one, up)
        p_value, answer = one.p_value, answer_of(one.absolute, up)
        if p_value is not None:
            p_value = adjusted.get((one.metric, one.arm), p_value)
            if p_value > 1.0 - experiment.level.value:
                answer = "unclear"
        made.append(
            Comparison(
                metric=one.metric,
                arm=one.arm,
                role=role,
                unit=unit_of(project, one.metric),
                up=up,
                control=one.control,
                treated=one.treated,
                absolute=one.absolute,
                relative=one.relative,
                p_value=one.p_value,
                adjusted=p_value,
                answer=answer,
                margin=margin,
                harmless=harmless,
                kind=kind_of(project, one.metric),
            )
        )
    return tuple(made)


def _role(
    experiment: ExperimentDefinition, one: Seen, up: bool
) -> tuple[Role, float | None, bool | None]:
    if one.metric not in experiment.counter_metrics:
        return "primary", None, None
    margin = experiment.counter_metrics[one.metric].value
    return "counter", margin, harmless_within(one.relative, margin, up)
