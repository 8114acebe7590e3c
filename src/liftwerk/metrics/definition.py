"""``[metrics.NAME]`` and ``[goal]``: what counts, and what counts most."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named, one
from liftwerk.definitions.typed import Duration, Share
from liftwerk.events.definition import known_events


class MetricDefinition(Struct, frozen=True):
    """``[metrics.NAME]``: a number counted for each decision.

    Attributes
    ----------
    description : str
        What it says.
    from_ : str
        The event it counts (``from`` in the file).
    aggregate : str
        ``any`` (0 or 1), ``count`` or ``sum``.
    within : Duration
        Time after the decision in which events count.
    property : str or None
        The property that is summed.
    multiply : Share or None
        A factor on the sum, such as the margin on revenue.
    subtract : str or None
        ``action_cost``: less what the decision's action cost.
    maturity : Duration or None
        Time after the decision before it may be learned from; None for ``within``.
    unit : str
        What it is counted in.
    """

    description: str
    from_: str = field(name="from")
    aggregate: Literal["any", "count", "sum"]
    within: Duration
    property: str | None = None
    multiply: Share | None = None
    subtract: Literal["action_cost"] | None = None
    maturity: Duration | None = None
    unit: str = ""

    @builtins.property  # the field `property` hides the short name here
    def matures(self) -> Duration:
        """Time after the decision before it may be learned from."""
        if self.maturity is None:
            return self.within
        return self.maturity


class Goal(Struct, frozen=True):
    """``[goal]``: what all of this is for, and who is kept out to measure it.

    Attributes
    ----------
    metric : str
        The metric to increase; money, not visits.
    holdout : Share
        Part of the customers kept on the control action from the first day.
    salt : str
        Decides who they are; never changes.
    """

    metric: str
    holdout: Share = Share("0%")
    salt: str = ""


def _check_metrics(project: Project) -> Iterable[Problem]:
    events = known_events(project)
    for name, metric in project.get(METRICS).items():
        path: Path = ("metrics", name)
        if metric.within.microseconds == 0:
            yield project.problem((*path, "within"), "write more than 0", str(metric.within))
        if (
            metric.maturity is not None
            and metric.maturity.microseconds < metric.within.microseconds
        ):
            hint = f"write no less than within, {metric.within}"
            yield project.problem((*path, "maturity"), hint, str(metric.maturity))
        if metric.from_ not in events:
            yield project.unknown((*path, "from"), metric.from_, events)
            continue
        yield from _check_property(project, path, metric)


def _check_property(project: Project, path: Path, metric: MetricDefinition) -> Iterable[Problem]:
    properties = known_events(project)[metric.from_].properties
    if metric.aggregate == "sum" and metric.property is None:
        what = f"{dotted(path)}.property is missing"
        hint = f"'sum' adds up a property of {metric.from_!r}"
        yield project.problem((*path, "property"), hint, what=what)
    elif metric.aggregate != "sum" and metric.property is not None:
        hint = f"leave it out: {metric.aggregate!r} looks at the events themselves"
        yield project.problem((*path, "property"), hint, metric.property)
    elif metric.property is not None and metric.property not in properties:
        yield project.unknown((*path, "property"), metric.property, properties)
    elif metric.property is not None:
        type_ = properties[metric.property].type
        if type_ not in ("integer", "number", "money"):
            hint = f"a {type_} cannot be summed"
            yield project.problem((*path, "property"), hint, metric.property)


def _check_goal(project: Project) -> Iterable[Problem]:
    goal = project.find(GOAL)
    if goal is None:
        return
    metrics = project.get(METRICS)
    if goal.metric not in metrics:
        yield project.unknown(("goal", "metric"), goal.metric, metrics)
    elif not earns_money(project, metrics[goal.metric]):
        hint = "a goal is money, not a visit: sum a money property"
        yield project.problem(("goal", "metric"), hint, goal.metric)
    if goal.holdout.exact == 1:
        hint = "somebody must be left to decide for"
        yield project.problem(("goal", "holdout"), hint, str(goal.holdout))
    if goal.holdout.exact > 0 and not goal.salt:
        hint = f'add salt = "{project.name}-holdout-1" and never change it'
        yield project.problem(("goal", "salt"), hint, what="goal.salt is missing")


def earns_money(project: Project, metric: MetricDefinition) -> bool:
    """Say whether a metric sums money."""
    event = known_events(project).get(metric.from_)
    if event is None or metric.aggregate != "sum" or metric.property is None:
        return False
    definition = event.properties.get(metric.property)
    return definition is not None and definition.type == "money"


METRICS = named("metrics", MetricDefinition, _check_metrics)
GOAL = one("goal", Goal, _check_goal)
