"""Plan a design that gives arms to units: an A/B test, or a holdout."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError
from liftwerk.experiments.compare import Question as Read
from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.planning.answer import planned
from liftwerk.experiments.planning.ask import Asked
from liftwerk.experiments.planning.history import History, history_of
from liftwerk.experiments.planning.judged import comparisons, money_metric, together
from liftwerk.experiments.planning.plan import Beside, Cost, Plan, finite
from liftwerk.experiments.planning.question import Question, days_needed
from liftwerk.experiments.planning.simulate import MOST_ROWS, RUNS, doubts, simulate
from liftwerk.stats.power import Baseline, detectable, units_needed
from liftwerk.store.stores import Stores

DAY = timedelta(days=1)


def plan_units(project: Project, stores: Stores, asked: Asked) -> Plan:
    """Plan an experiment by the project's own history.

    Parameters
    ----------
    project : Project
    stores : Stores
    asked : Asked

    Returns
    -------
    Plan
        Also where it cannot work: with what would.

    Raises
    ------
    Refused
        If there is no history to plan by.
    ProjectError
        If the metric is 0 for everybody, so that nothing is a part of it.
    """
    experiment, where = asked.experiment, f"experiment {asked.name}"
    asked.tell("plan", "who would have entered")
    history = history_of(project, stores, experiment, where, now=asked.now, costs=asked.costs)
    first = history.questions[0]
    baseline = history.baseline(first)
    if baseline.value == 0.0 or baseline.variance == 0.0:
        what = f"{first.metric} is the same for all {len(history.units):,} units of the history"
        raise ProjectError(what, where, "judge it by a metric that something happens in")
    question = _question(asked, first, baseline)
    # Once more with those who enter on so many days.
    days = days_needed(question, history.intake, asked.within) or asked.within
    question = _question(asked, first, history.baseline(first, days))
    told = {
        "experiment": asked.name,
        "design": experiment.design,
        "metric": first.metric,
        "unit": first.unit,
        "notes": tuple(_notes(history, experiment, question)),
    }
    asked.tell("plan", "how long it takes")
    plan = planned(
        question,
        history.intake,
        within=asked.within,
        matures=history.matures / DAY,
        holdout=experiment.design == "holdout",
        told=told,
    )
    lasts = plan.days or plan.within
    if asked.simulate:
        asked.tell("plan", f"{RUNS} experiments of the history, simulated")
        plan = msgspec.structs.replace(
            plan, simulated=simulate(history, first, question, lasts, asked.rng)
        )
    return msgspec.structs.replace(
        plan,
        notes=(*plan.notes, *doubts(plan)),
        cost=_cost(project, history, question, plan, days),
        beside=tuple(_beside(history, question, plan, experiment, days)),
    )


def _question(asked: Asked, read: Read, baseline: Baseline) -> Question:
    experiment = asked.experiment
    sign = 1.0
    if not read.up:
        sign = -1.0
    most = 1.0
    if experiment.layer is not None:
        most = asked.most
    return Question(
        baseline,
        sign * asked.effect,
        {arm: float(share) for arm, share in experiment.shares.items()},
        share=experiment.share.value,
        most=max(most, experiment.share.value),
        family=comparisons(experiment),
        method=experiment.method,
        level=experiment.level.value,
        wanted=experiment.power.value,
    )


def _beside(
    history: History, question: Question, plan: Plan, experiment: ExperimentDefinition, days: int
) -> Iterable[Beside]:
    """Say what the planned units tell of the other metrics."""
    units = float(plan.entering)
    for read in history.questions[1:]:
        baseline = history.baseline(read, days)
        family = question.family
        if read.role == "counter":
            family = len(experiment.counter_metrics) * (len(experiment.arms) - 1)
        looks = msgspec.structs.replace(question, family=family).looks
        if baseline.value == 0.0 or baseline.variance == 0.0:
            yield Beside(read.metric, read.role, baseline.value, None, read.margin)
            continue
        sign = 1
        if read.up == (read.role == "counter"):
            sign = -1  # what has to be ruled out of a counter-metric is that it gets worse
        told = (question.wanted, question.split, looks)
        seen = detectable(baseline, units, *told, sign) / baseline.value
        enough = None
        if read.margin is not None:
            loss = sign * read.margin * abs(baseline.value)
            enough = units_needed(baseline, loss, *told) <= units
        yield Beside(read.metric, read.role, baseline.value, finite(abs(seen)), read.margin, enough)


def _cost(
    project: Project, history: History, question: Question, plan: Plan, days: int
) -> Cost | None:
    """Say what control does not earn, in money, if the effect is as large as planned.

    Where the experiment is judged by another number, the goal is taken to move by the same part.
    """
    kept = question.arms[next(iter(question.arms))] * plan.entering
    of = {one.metric: one for one in history.questions}
    chosen = money_metric(project, list(of))
    if chosen is None or plan.effect == 0.0:
        return None
    value = history.baseline(of[chosen], days).value
    amount = abs(plan.effect * value) * kept
    if not math.isfinite(amount):
        return None
    words = (
        f"{kept:,.0f} in control, each without {100 * abs(plan.effect):.3g}% of {chosen},"
        f" {value:.4g} on average"
    )
    return Cost(amount, project.currency, words)


def _notes(history: History, experiment: ExperimentDefinition, question: Question) -> Iterable[str]:
    events = ", ".join(history.events)
    yield (
        f"{len(history.units):,} units entered on {history.days} days from"
        f" {history.since.date().isoformat()}, as they were first seen by {events}."
    )
    if len(history.units) > MOST_ROWS:
        yield f"Simulations draw from {MOST_ROWS:,} of them, chosen by lot."
    if question.baseline.reduction > 0.0:
        yield (
            f"Covariates and strata take {100 * question.baseline.reduction:.2g}% of the variance"
            " out."
        )
    yield from together(question.family)
    if experiment.method == "anytime":
        yield "It is looked at every day, and may be: power is that of having seen it by the end."
    yield from history.units.notes
