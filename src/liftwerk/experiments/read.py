"""Read an experiment: units, their outcomes, what each arm does, whether it can be trusted, advice.

spine -> matured units with outcomes and covariates -> moments by arm -> differences together
      -> exposed only, segments, days -> checks -> verdict
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

import numpy as np
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.experiments.checks import run_checks
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.compare import Arms, How, Question, compare, foresee
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.experiments.looks import looks
from liftwerk.experiments.reading import Comparison, Counted, Reading, Role
from liftwerk.experiments.segments import segments
from liftwerk.experiments.spine import Spine, assigned_units
from liftwerk.experiments.state import State, state_of
from liftwerk.experiments.statements import statements
from liftwerk.experiments.units import Units, first_day, matured_units, outcomes_of, whole_time
from liftwerk.experiments.verdict import Asked, judge
from liftwerk.metrics.definition import METRICS
from liftwerk.metrics.kinds import earns_money, kind_of
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
    experiment = project.lookup(EXPERIMENTS, name)
    if experiment.design not in READ_HERE:
        what = f"a {experiment.design} gives no arms to units"
        raise Refused(what, f"experiment {name}", f"liftwerk {experiment.design} read {name}")
    as_of = AsOf(now, offset)
    state = state_of(stores.ledger, name)
    spine = assigned_units(project, stores, name, as_of=as_of)
    units = matured_units(project, stores, experiment, spine, as_of=as_of, costs=costs or {})
    questions = questions_of(project, experiment, units)
    how = how_of(experiment, state, method)
    arms = units.moments()
    comparisons = foresee(compare(questions, arms, how), questions, arms, how)
    evidence = Evidence(
        project, stores, name, experiment, state, spine, units, questions, how, as_of
    )
    checks = run_checks(evidence)
    counted = _counted(experiment, evidence, units)
    return Reading(
        experiment=name,
        design=experiment.design,
        description=experiment.description,
        unit=experiment.unit,
        as_of=now,
        started=pc.min(spine.table.column("time")).as_py(),
        method=how.method,
        level=how.level,
        effect=how.effect,
        arms=counted,
        comparisons=comparisons,
        exposed=_exposed(units, questions, how),
        segments=segments(units, questions, how),
        looks=looks(units, questions, how),
        checks=checks,
        verdict=judge(counted, comparisons, checks, _asked(project, experiment, state, spine, how)),
        mixed=spine.mixed,
        testers=spine.testers,
        notes=units.notes,
        sql=statements(project, experiment),
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
    metric = project.get(METRICS)[name]
    if kind_of(project, name) == "proportion":
        return "share"
    if earns_money(project, metric):
        return project.currency
    return metric.unit


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


def _counted(
    experiment: ExperimentDefinition, evidence: Evidence, units: Units
) -> tuple[Counted, ...]:
    matured = np.bincount(units.arm, minlength=len(units.arms)).tolist()
    return tuple(
        Counted(
            arm=arm,
            label=evidence.label(arm),
            share=float(share),
            units=evidence.counts[arm],
            matured=matured[place],
            exposed=evidence.exposures[arm],
        )
        for place, (arm, share) in enumerate(experiment.shares.items())
    )


def _exposed(units: Units, questions: tuple[Question, ...], how: How) -> tuple[Comparison, ...]:
    """Compare only units that met their arm; nothing where that is all of them, or none."""
    if units.exposed.all() or not units.exposed.any():
        return ()
    arms: Arms = units.moments(units.exposed)
    return compare(questions, arms, how)


def _asked(
    project: Project, experiment: ExperimentDefinition, state: State, spine: Spine, how: How
) -> Asked:
    first = first_day(spine, whole_time(project, experiment))
    day = None
    if first is not None:
        day = first.astimezone(project.timezone).date().isoformat()
    return Asked(experiment.unit, how.effect, how.method == "fixed", planned_units(state), day)
