"""What a declared metric, and the goal, must satisfy before anything is counted."""

from __future__ import annotations

import re
from collections.abc import Iterable

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.errors import ProjectError
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.condition import Column, check_condition, columns_of_event
from liftwerk.metrics.definition import GOAL, METRICS, MetricDefinition
from liftwerk.metrics.formula import Sum, parse_formula
from liftwerk.metrics.kinds import columns_of, earns_money, level_of, properties_of
from liftwerk.metrics.value import parse_value, value_types
from liftwerk.money import exponent
from liftwerk.privacy.definition import PURPOSES

WAYS = ("from", "formula", "incremental", "measured")
"""How a number may come about: a metric has one of these."""

FIELDS = {"from": "from_"}

COUNTING = (
    "aggregate",
    "within",
    "property",
    "multiply",
    "subtract",
    "maturity",
    "where",
    "unnest",
    "value",
    "per",
)
"""What is only said of a metric that counts."""

OF_EVENTS = ("within", "subtract", "maturity", "unnest", "value", "per")
"""What is only said of a metric that counts events."""

MEASURED = r"model:[a-z][a-z0-9_]*\.[a-z][a-z0-9_.]*|system:[a-zA-Z_:][a-zA-Z0-9_:]*"


def check_metrics(project: Project) -> Iterable[Problem]:
    """Find what is wrong with the declared metrics."""
    circles = list(_circles(project))
    yield from circles
    for name, metric in project.get(METRICS).items():
        path: Path = ("metrics", name)
        ways = [way for way in WAYS if getattr(metric, FIELDS.get(way, way)) is not None]
        if len(ways) != 1:
            what = f"{dotted(path)} says {len(ways)} ways to come about"
            if len(ways) == 0:
                what = f"{dotted(path)} does not say how it comes about"
            hint = f"write one of {', '.join(WAYS)}"
            yield project.problem(path, hint, what=what)
            continue
        (way,) = ways
        if way == "from":
            yield from _check_counting(project, path, metric)
        else:
            yield from _check_made(project, path, metric, bool(circles))
        yield from _check_meaning(project, path, metric)


def check_goal(project: Project) -> Iterable[Problem]:
    """Find what is wrong with the goal."""
    goal = project.find(GOAL)
    if goal is None:
        return
    metrics = project.get(METRICS)
    path: Path = ("goal", "metric")
    if goal.metric not in metrics:
        yield project.unknown(path, goal.metric, metrics)
    elif not earns_money(project, metrics[goal.metric]) and metrics[goal.metric].surrogate is None:
        hint = (
            "a goal is money, not a visit or a click: sum a money property, or declare what it is "
            f"a surrogate of, by which study, in [metrics.{goal.metric}.surrogate]"
        )
        yield project.problem(path, hint, goal.metric)
    if goal.holdout.exact == 1:
        hint = "somebody must be left to decide for"
        yield project.problem(("goal", "holdout"), hint, str(goal.holdout))
    if goal.holdout.exact > 0 and not goal.salt:
        hint = f'add salt = "{project.name}-holdout-1" and never change it'
        yield project.problem(("goal", "salt"), hint, what="goal.salt is missing")
    purposes = project.get(PURPOSES)
    if goal.purpose and goal.purpose not in purposes:
        yield project.unknown(("goal", "purpose"), goal.purpose, purposes)


def _check_counting(project: Project, path: Path, metric: MetricDefinition) -> Iterable[Problem]:
    events, entities = known_events(project), project.get(ENTITIES)
    if metric.from_ not in events and metric.from_ not in entities:
        yield project.unknown((*path, "from"), str(metric.from_), [*events, *entities])
        return
    if metric.aggregate is None:
        what = f"{dotted(path)}.aggregate is missing"
        yield project.problem(path, "write any, count, sum, new or lapse", what=what)
        return
    if metric.from_ in entities:
        for key in OF_EVENTS:
            if getattr(metric, key) is not None:
                hint = "leave it out: rows of an entity are no customer's"
                yield project.problem((*path, key), hint, str(getattr(metric, key)))
        if metric.aggregate not in ("count", "sum"):
            hint = "rows of an entity are no customer's: write count or sum"
            yield project.problem((*path, "aggregate"), hint, metric.aggregate)
    yield from _check_window(project, path, metric)
    yield from _check_list(project, path, metric)
    yield from _check_operand(project, path, metric)
    if metric.where is not None:
        yield from check_condition(
            project, (*path, "where"), metric.where, _columns(project, metric)
        )


def _check_window(project: Project, path: Path, metric: MetricDefinition) -> Iterable[Problem]:
    within = metric.within
    needing = ("subtract", "maturity", "per")
    if within is None:
        asking = [key for key in needing if getattr(metric, key) is not None]
        if metric.aggregate == "lapse":
            asking.append("aggregate")
        if asking:
            what = f"{dotted(path)}.within is missing"
            hint = f"{asking[0]!r} needs it: write how long after an assignment events count"
            yield project.problem(path, hint, what=what)
        return
    if within.microseconds == 0:
        yield project.problem((*path, "within"), "write more than 0", str(within))
    if metric.maturity is not None and metric.maturity.microseconds < within.microseconds:
        hint = f"write no less than within, {within}"
        yield project.problem((*path, "maturity"), hint, str(metric.maturity))
    if metric.per is not None:
        metrics = project.get(METRICS)
        if metric.per not in metrics:
            yield project.unknown((*path, "per"), metric.per, metrics)
        elif metrics[metric.per].aggregate != "new":
            hint = 'name a metric with aggregate = "new": it says who, and since when'
            yield project.problem((*path, "per"), hint, metric.per)
        if metric.aggregate in ("new", "lapse"):
            hint = "leave it out: sum, count or any of them"
            yield project.problem((*path, "per"), hint, metric.per)


def _check_list(project: Project, path: Path, metric: MetricDefinition) -> Iterable[Problem]:
    properties = properties_of(project, metric)
    if metric.unnest is None:
        return
    if metric.unnest not in properties:
        yield project.unknown((*path, "unnest"), metric.unnest, properties)
    elif properties[metric.unnest].type != "list":
        hint = f"a {properties[metric.unnest].type} has no items"
        yield project.problem((*path, "unnest"), hint, metric.unnest)
    if metric.property is not None:
        hint = f'write value = "{metric.unnest}.FIELD"'
        yield project.problem((*path, "property"), hint, metric.property)


def _check_operand(project: Project, path: Path, metric: MetricDefinition) -> Iterable[Problem]:
    properties = properties_of(project, metric)
    said = [key for key in ("property", "value") if getattr(metric, key) is not None]
    if metric.aggregate == "sum" and not said:
        what = f"{dotted(path)}.property is missing"
        hint = f"'sum' adds up a property of {metric.from_!r}, or a value"
        yield project.problem((*path, "property"), hint, what=what)
    elif len(said) > 1:
        hint = "leave it out: value says what is summed"
        yield project.problem((*path, "property"), hint, metric.property)
    elif metric.aggregate != "sum" and said:
        hint = f"leave it out: {metric.aggregate!r} looks at the events themselves"
        yield project.problem((*path, said[0]), hint, getattr(metric, said[0]))
    elif metric.property is not None and metric.property not in properties:
        yield project.unknown((*path, "property"), metric.property, properties)
    elif metric.property is not None:
        type_ = properties[metric.property].type
        if type_ not in ("integer", "number", "money"):
            hint = f"a {type_} cannot be summed"
            yield project.problem((*path, "property"), hint, metric.property)
    elif metric.value is not None:
        yield from _check_value(project, path, metric)


def _check_value(project: Project, path: Path, metric: MetricDefinition) -> Iterable[Problem]:
    events = known_events(project)
    if metric.from_ not in events or not _is_list(project, metric):
        return
    types = value_types(events[metric.from_], metric.unnest, project.get(ENTITIES))
    try:
        parse_value(metric.value or "", types)
    except ValueError as error:
        yield project.problem((*path, "value"), str(error), metric.value)


def _is_list(project: Project, metric: MetricDefinition) -> bool:
    properties = properties_of(project, metric)
    if metric.unnest is None:
        return True
    return metric.unnest in properties and properties[metric.unnest].type == "list"


def _columns(project: Project, metric: MetricDefinition) -> dict[str, Column]:
    events = known_events(project)
    if metric.from_ in events:
        unnest = None
        if _is_list(project, metric):
            unnest = metric.unnest
        return columns_of_event(events[metric.from_], project.currency, unnest)
    decimals = exponent(project.currency)
    return {
        name: Column(one.type, decimals if one.type == "money" else 0)
        for name, one in properties_of(project, metric).items()
        if one.type != "list"
    }


def _check_made(
    project: Project, path: Path, metric: MetricDefinition, in_circles: bool
) -> Iterable[Problem]:
    for key in COUNTING:
        if getattr(metric, key) is not None:
            hint = "leave it out: it is said of metrics that count (from)"
            yield project.problem((*path, key), hint, str(getattr(metric, key)))
    metrics = project.get(METRICS)
    if metric.measured is not None and not re.fullmatch(MEASURED, metric.measured):
        hint = 'write "model:NAME.FIGURE" or "system:NAME", with the name of a figure of /metrics'
        yield project.problem((*path, "measured"), hint, metric.measured)
    if metric.formula is not None:
        try:
            found = parse_formula(metric.formula, metrics)
            if isinstance(found, Sum) and not found.terms:
                raise ValueError("it names no metric")
        except ValueError as error:
            yield project.problem((*path, "formula"), str(error), metric.formula)
    if metric.incremental is not None and metric.incremental not in metrics:
        yield project.unknown((*path, "incremental"), metric.incremental, metrics)
    elif metric.incremental is not None and not in_circles:
        try:
            columns_of(project, metric.incremental)
        except (ProjectError, ValueError) as error:
            hint = f"an increment is read of customers: {error}"
            yield project.problem((*path, "incremental"), hint, metric.incremental)


def _check_meaning(project: Project, path: Path, metric: MetricDefinition) -> Iterable[Problem]:
    """Hold bounds, the chain to the goal, and surrogates to what is declared."""
    metrics = project.get(METRICS)
    target, threshold = metric.target, metric.threshold
    is_beyond = False
    if target is not None and threshold is not None:
        is_beyond = threshold != target and (metric.better == "higher") == (threshold > target)
    if is_beyond:
        side = {"higher": "below", "lower": "above"}[metric.better]
        hint = f"the threshold lies {side} the target where {metric.better} is better"
        yield project.problem((*path, "threshold"), hint, str(threshold))
    if metric.supports is not None:
        order = ("system", "model", "business")
        if metric.supports not in metrics:
            yield project.unknown((*path, "supports"), metric.supports, metrics)
        elif order.index(level_of(metric)) > order.index(level_of(metrics[metric.supports])):
            hint = f"a {level_of(metric)} metric is above it: goal, then model, then system"
            yield project.problem((*path, "supports"), hint, metric.supports)
    if metric.surrogate is not None:
        here = (*path, "surrogate", "stands_for")
        if metric.surrogate.stands_for not in metrics:
            yield project.unknown(here, metric.surrogate.stands_for, metrics)
        elif not earns_money(project, metrics[metric.surrogate.stands_for]):
            hint = "a surrogate stands for money: name a metric that sums it"
            yield project.problem(here, hint, metric.surrogate.stands_for)
        if not metric.surrogate.study.strip():
            hint = "say what showed it, and where that is written down"
            yield project.problem((*path, "surrogate", "study"), hint, metric.surrogate.study)


def _circles(project: Project) -> Iterable[Problem]:
    """Find metrics that are made of themselves, or support themselves."""
    metrics = project.get(METRICS)
    made: dict[str, list[str]] = {}
    supported: dict[str, list[str]] = {}
    for name, metric in metrics.items():
        if metric.formula is not None:
            try:
                made[name] = list(parse_formula(metric.formula, metrics).names)
            except ValueError:
                made[name] = []
        if metric.incremental is not None:
            made[name] = [metric.incremental]
        if metric.supports is not None:
            supported[name] = [metric.supports]
    for key, edges in (("formula", made), ("supports", supported)):
        circle = _circle(edges)
        if circle:
            what = f"metrics are made of themselves: {' -> '.join(circle)}"
            if key == "supports":
                what = f"metrics support themselves: {' -> '.join(circle)}"
            yield project.problem(("metrics", circle[0], key), "leave one out", what=what)


def _circle(edges: dict[str, list[str]]) -> list[str]:
    for start in edges:
        trail = [start]
        ahead = [iter(edges[start])]
        while ahead:
            found = next(ahead[-1], None)
            if found is None:
                ahead.pop()
                trail.pop()
            elif found in trail:
                return [*trail[trail.index(found) :], found]
            elif found in edges:
                trail.append(found)
                ahead.append(iter(edges[found]))
    return []
