"""What a plan has to know of its metrics, whatever the design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from liftwerk.definitions.project import Project
from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.state import states
from liftwerk.metrics.definition import GOAL, METRICS
from liftwerk.metrics.kinds import earns_money, goal_metric
from liftwerk.store.stores import Stores

FOR_ALL = ("switchback", "geo")
"""Designs that give an arm to everybody of a time or a region."""


def direction(project: Project, metric: str) -> float:
    """Say in which direction a metric is better: 1 or -1."""
    if project.get(METRICS)[metric].better == "higher":
        return 1.0
    return -1.0


def others(experiment: ExperimentDefinition) -> list[tuple[str, str, float | None]]:
    """List the metrics beside the first: name, role, and of a counter-metric its margin."""
    judged = [(metric, "primary", None) for metric in experiment.metrics[1:]]
    kept = [
        (metric, "counter", margin.value) for metric, margin in experiment.counter_metrics.items()
    ]
    return [*judged, *kept]


def comparisons(experiment: ExperimentDefinition, treated: int | None = None) -> int:
    """Count what is judged together: primary metrics times the arms beside control.

    Parameters
    ----------
    experiment : ExperimentDefinition
    treated : int, optional
        Of so many of its arms.
    """
    if treated is None:
        treated = len(experiment.arms) - 1
    return len(experiment.metrics) * treated


def first_step(level: float, many: int) -> float:
    """Return the level at which Holm judges the smallest of many p-values.

    Examples
    --------
    >>> first_step(0.95, 2)
    0.975
    """
    return 1.0 - (1.0 - level) / many


def together(many: int) -> Iterator[str]:
    """Tell of comparisons that are judged together, if there are several."""
    if many > 1:
        yield f"{many} comparisons are judged together, each at Holm's first step."


def ran_meanwhile(stores: Stores, since: datetime, now: datetime) -> list[str]:
    """Tell which experiments changed something for everybody in a history, a sentence each.

    Parameters
    ----------
    stores : Stores
    since, now : datetime
        Of the history.

    Returns
    -------
    list of str
        Switchbacks and geo tests: what they changed is taken for chance, so that a plan promises
        too little, or for what the regions are like.
    """
    told = []
    for name, state in states(stores.ledger).items():
        if state.started is None or state.definition.design not in FOR_ALL:
            continue
        if state.started < now and (state.stopped is None or state.stopped > since):
            told.append(f"{name} ran in these days: what it changed is taken for chance.")
    return told


def money_metric(project: Project, names: Sequence[str]) -> str | None:
    """Choose the metric by which a plan's cost is told: the goal's, or the first in money.

    Parameters
    ----------
    project : Project
    names : sequence of str
        Metrics that are known.

    Returns
    -------
    str or None
        None where none of them is in money.
    """
    metrics = project.get(METRICS)
    money = [name for name in names if earns_money(project, metrics[name])]
    goal = project.find(GOAL)
    counted = None
    if goal is not None:
        counted = goal_metric(project, goal.metric)
    if counted in money:
        return counted
    return next(iter(money), None)
