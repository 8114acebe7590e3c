"""What sort of number a metric is: how it comes about, what level it is of, whether it is money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, UnknownName
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.properties import PropertyDefinition
from liftwerk.metrics.definition import METRICS, MetricDefinition
from liftwerk.metrics.formula import Ratio, Sum, flattened, formula_of
from liftwerk.metrics.value import MONEY, is_money, parse_value, value_types

Kind: TypeAlias = Literal["mean", "proportion", "ratio"]
"""What an experiment estimates of a metric: each kind has its own arithmetic of an interval."""

Level: TypeAlias = Literal["business", "model", "system"]
"""What a metric is about."""


def level_of(metric: MetricDefinition) -> Level:
    """Say whether a metric is about the business, a model or the system.

    Examples
    --------
    >>> level_of(MetricDefinition("", measured="model:reorder.auc"))
    'model'
    """
    if metric.measured is None:
        return "business"
    if metric.measured.startswith("model:"):
        return "model"
    return "system"


def kind_of(project: Project, name: str) -> Kind:
    """Say what an experiment estimates of a metric.

    Parameters
    ----------
    project : Project
    name : str

    Raises
    ------
    UnknownName
        If it is not declared.
    InputError
        If nobody has a number of it: it counts no events, or within no window.
    """
    columns = columns_of(project, name)
    if len(columns) > 1:
        return "ratio"
    (total,) = columns.values()
    metrics = project.get(METRICS)
    (of, *others) = total.terms.items()
    is_share = metrics[of[0]].aggregate in ("any", "new", "lapse")
    if not others and is_share and abs(of[1]) == 1 and total.constant in (0, 1):
        return "proportion"
    return "mean"


def columns_of(project: Project, name: str) -> dict[str, Sum]:
    """Return what has to be known of each unit to read a metric.

    Parameters
    ----------
    project : Project
    name : str
        What is incremental is read as that of which it is the increment.

    Returns
    -------
    dict of str to Sum
        Column -> the metrics without a formula that it adds up. One column for a mean and a
        proportion; numerator and denominator, in this order, for a ratio.

    Raises
    ------
    UnknownName, InputError
        As of `kind_of`.
    """
    metrics: Mapping[str, MetricDefinition] = project.get(METRICS)
    metric = project.lookup(METRICS, name)
    if metric.incremental is not None:
        return columns_of(project, metric.incremental)
    found = formula_of(metrics, name)
    sides: tuple[str, ...] = (name,)
    if isinstance(found, Ratio):
        sides = found.names
    try:
        columns = {side: flattened(metrics, side) for side in sides}
    except ValueError as error:
        hint = "a ratio is one sum of customers by another"
        raise InputError(str(error), f"metrics.{name}.formula", hint) from None
    for total in columns.values():
        for part in total.names:
            _demand_unit(project, part)
    return columns


def _demand_unit(project: Project, name: str) -> None:
    metric = project.get(METRICS)[name]
    where = f"metrics.{name}"
    if metric.from_ is None or metric.from_ in project.get(ENTITIES):
        what = f"{name!r} counts no events, so that no customer has a number of it"
        raise InputError(what, where, "read it by period: liftwerk metrics show")
    if metric.within is None:
        what = f"{name!r} has no window, so that no customer has a number of it"
        raise InputError(
            what, where, 'add within = "14d": the time after an assignment that counts'
        )


def is_countable(project: Project, metric: MetricDefinition) -> bool:
    """Say whether a metric is counted of an event within a window, and has no formula."""
    return metric.within is not None and metric.from_ in known_events(project)


def earns_money(project: Project, metric: MetricDefinition) -> bool:
    """Say whether a metric sums money."""
    metrics = project.get(METRICS)
    if metric.incremental is not None:
        return metric.incremental in metrics and earns_money(project, metrics[metric.incremental])
    if metric.formula is not None:
        return _is_sum_of_money(project, metric)
    if metric.aggregate != "sum":
        return False
    return operand_type(project, metric) == MONEY


def is_in_money(project: Project, name: str) -> bool:
    """Say whether a metric's figures are amounts: it sums money, or divides it by what is none."""
    metrics = project.get(METRICS)
    metric = metrics[name]
    if metric.formula is None:
        return earns_money(project, metric)
    found = formula_of(metrics, name)
    if isinstance(found, Sum):
        return earns_money(project, metric)
    divides_money = is_in_money(project, found.denominator)
    return is_in_money(project, found.numerator) and not divides_money


def _is_sum_of_money(project: Project, metric: MetricDefinition) -> bool:
    metrics = {**project.get(METRICS), "": metric}
    try:
        total = flattened(metrics, "")
    except (ValueError, RecursionError):
        return False
    return bool(total.terms) and all(earns_money(project, metrics[one]) for one in total.terms)


def operand_type(project: Project, metric: MetricDefinition) -> str | None:
    """Return the type of what a metric sums; None if that is not there, or cannot be read."""
    properties = properties_of(project, metric)
    if metric.property is not None and metric.property in properties:
        return properties[metric.property].type
    event = known_events(project).get(metric.from_ or "")
    if metric.value is None or event is None:
        return None
    types = value_types(event, metric.unnest, project.get(ENTITIES))
    try:
        if is_money(parse_value(metric.value, types), types):
            return MONEY
    except ValueError:
        return None
    return "number"


def properties_of(project: Project, metric: MetricDefinition) -> Mapping[str, PropertyDefinition]:
    """Return the properties of what a metric counts: an event or an entity."""
    events, entities = known_events(project), project.get(ENTITIES)
    if metric.from_ in events:
        return events[metric.from_].properties
    if metric.from_ in entities:
        return entities[metric.from_].properties
    return {}


def goal_metric(project: Project, name: str) -> str:
    """Return the metric that is counted where a goal is what was added to it.

    Raises
    ------
    UnknownName
    """
    metric = project.lookup(METRICS, name)
    if metric.incremental is None:
        return name
    if metric.incremental not in project.get(METRICS):
        raise UnknownName(f"no metric {metric.incremental!r}", f"metrics.{name}", "declare it")
    return metric.incremental
