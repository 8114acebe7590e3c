"""Read an experiment: units, their outcomes, what each arm does, whether it can be trusted, advice.

spine -> matured units with outcomes and covariates -> moments by arm -> differences together
      -> exposed only, segments, days -> checks -> verdict
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import numpy as np
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.experiments.checks import run_checks
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.compare import How, Question, compare, foresee
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.experiments.looks import looks
from liftwerk.experiments.reading import Comparison, Counted, Reading, Role
from liftwerk.experiments.segments import segments
from liftwerk.experiments.spine import assigned_units
from liftwerk.experiments.state import State, state_of
from liftwerk.experiments.statements import statements
from liftwerk.experiments.units import (
    Units,
    first_day,
    matured_units,
    once_each,
    outcomes_of,
    whole_time,
)
from liftwerk.experiments.verdict import Asked, judge
from liftwerk.metrics.definition import METRICS
from liftwerk.metrics.kinds import is_in_money, kind_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

TUNED_FOR = 20_000
"""Units with which an anytime interval is narrowest where nothing was planned."""

READ_HERE = ("ab", "holdout")
"""Designs that give arms to units; a switchback and a geo lift are read otherwise."""


def read(
    project: Project,
    stores: Stores,
    name: str,
    *,
    now: datetime,
    costs: Mapping[str, Decimal] | None = None,
    offset: int | None = None,
    method: Literal["anytime", "fixed"] | None = None,
) -> Reading:
    """Read an experiment as far as it is known.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        A declared experiment of a design that gives arms to units.
    now : datetime
        Nothing learnt later is read, and a unit has matured by this time or not.
    costs : mapping of str to decimal.Decimal, optional
        Arm -> what its action costs once, for metrics that take it off.
    offset : int, optional
        Only what the log knew up to this offset.
    method : {"anytime", "fixed"}, optional
        Another one than is declared.

    Returns
    -------
    Reading

    Raises
    ------
    UnknownName
        If it is not declared.
    Refused
        If its design is read otherwise.
    """
    found = gather(project, stores, name, AsOf(now, offset), costs or {}, method)
    experiment, spine, units = found.experiment, found.spine, found.units
    arms = units.moments()
    comparisons = compare(found.questions, arms, found.how)
    comparisons = foresee(comparisons, found.questions, arms, found.how)
    checks = run_checks(found)
    counted = _counted(found)
    return Reading(
        experiment=name,
        design=experiment.design,
        description=experiment.description,
        unit=experiment.unit,
        as_of=now,
        started=pc.min(spine.table.column("time")).as_py(),
        method=found.how.method,
        level=found.how.level,
        effect=found.how.effect,
        arms=counted,
        comparisons=comparisons,
        exposed=_exposed(found),
        segments=segments(units, found.questions, found.how),
        looks=looks(units, found.questions, found.how),
        checks=checks,
        verdict=judge(counted, comparisons, checks, _asked(found)),
        mixed=spine.mixed,
        testers=spine.testers,
        notes=units.notes,
        sql=statements(project, experiment),
    )


def gather(
    project: Project,
    stores: Stores,
    name: str,
    as_of: AsOf,
    costs: Mapping[str, Decimal],
    method: Literal["anytime", "fixed"] | None = None,
) -> Evidence:
    """Read the units of an experiment with all that is known of them.

    Parameters
    ----------
    project, stores, name, costs, method : as for `read`
    as_of : AsOf
        Has a time.

    Returns
    -------
    Evidence
    """
    experiment = project.lookup(EXPERIMENTS, name)
    if experiment.design not in READ_HERE:
        what = f"a {experiment.design} gives no arms to units"
        raise Refused(what, f"experiment {name}", f"liftwerk experiment read {name}")
    state = state_of(stores.ledger, name)
    spine = assigned_units(project, stores, name, as_of=as_of)
    independent = spine
    if experiment.unit != "session":
        independent = replace(spine, table=once_each(spine.table))
    units = matured_units(
        project, stores, experiment, independent, as_of=as_of, costs=costs, kept_as=name
    )
    return Evidence(
        project=project,
        stores=stores,
        name=name,
        experiment=experiment,
        state=state,
        spine=spine,
        units=units,
        questions=questions_of(project, experiment, units),
        how=how_of(experiment, state, method),
        as_of=as_of,
    )


def questions_of(
    project: Project, experiment: ExperimentDefinition, units: Units
) -> tuple[Question, ...]:
    """Say how each metric of an experiment is read from its units' columns."""
    of = outcomes_of(project, experiment)
    outcomes = list(dict.fromkeys(name for columns in of.values() for name in columns))
    covariates = range(len(outcomes), len(units.columns))
    foretold = experiment.adjustment == "cupac" and len(covariates) > 0
    made = []
    for name, columns in of.items():
        own = tuple(outcomes.index(column) for column in columns)
        beside = tuple(covariates)
        if foretold:
            beside = tuple(covariates[place] for place in own)
        role: Role = "primary"
        if name in experiment.counter_metrics:
            role = "counter"
        margin = None
        if role == "counter":
            margin = experiment.counter_metrics[name].value
        made.append(
            Question(
                metric=name,
                role=role,
                kind=kind_of(project, name),
                unit=unit_of(project, name),
                up=project.get(METRICS)[name].better == "higher",
                columns=(*own, *beside),
                margin=margin,
            )
        )
    return tuple(made)


def unit_of(project: Project, name: str) -> str:
    """Say what a metric's figures are counted in: ``share``, a currency, or its declared unit."""
    if kind_of(project, name) == "proportion":
        return "share"
    if is_in_money(project, name):
        return project.currency
    return project.get(METRICS)[name].unit


def how_of(
    experiment: ExperimentDefinition, state: State, method: Literal["anytime", "fixed"] | None
) -> How:
    """Say by which method an experiment is read, tuned for what was planned."""
    planned = planned_units(state)
    tuned = float(TUNED_FOR)
    if planned is not None:
        shares = [float(share) for share in experiment.shares.values()]
        tuned = planned * (shares[0] + sum(shares[1:]) / len(shares[1:]))
    return How(method or experiment.method, experiment.level.value, tuned, experiment.effect.value)


def planned_units(state: State) -> int | None:
    """Return how many units of all arms were planned for; None where it was not planned."""
    units = state.plan.get("units")
    if not isinstance(units, int) or units <= 0:
        return None
    return units


def _counted(found: Evidence) -> tuple[Counted, ...]:
    matured = np.bincount(found.units.arm, minlength=len(found.units.arms)).tolist()
    return tuple(
        Counted(
            arm=arm,
            label=found.label(arm),
            share=float(share),
            units=found.counts[arm],
            matured=matured[place],
            exposed=found.exposures[arm],
        )
        for place, (arm, share) in enumerate(found.experiment.shares.items())
    )


def _exposed(found: Evidence) -> tuple[Comparison, ...]:
    """Compare only units that met their arm; nothing where that is all of them, or none."""
    units = found.units
    if units.exposed.all() or not units.exposed.any():
        return ()
    return compare(found.questions, units.moments(units.exposed), found.how)


def _asked(found: Evidence) -> Asked:
    span = whole_time(found.project, found.experiment)
    first = first_day(found.spine, span)
    day = None
    if first is not None:
        day = first.astimezone(found.project.timezone).date().isoformat()
    return Asked(
        unit=found.experiment.unit,
        effect=found.how.effect,
        fixed=found.how.method == "fixed",
        planned=planned_units(found.state),
        first=day,
        over=_is_over(found, span),
    )


def _is_over(found: Evidence, span: timedelta) -> bool:
    """Say whether it was stopped, and all who are in it have had their whole time."""
    last = pc.max(found.spine.table.column("time")).as_py()
    if found.state.stopped is None or last is None:
        return False
    assert found.as_of.time is not None  # a reading has a time
    over: bool = last + span <= found.as_of.time
    return over
