"""What a metric is made of, and how that is said: for people, in lists and in the lineage."""

from __future__ import annotations

from collections.abc import Iterator

from liftwerk.definitions.project import Project
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.condition import columns_of_event, parse_condition
from liftwerk.metrics.definition import METRICS, MetricDefinition
from liftwerk.metrics.formula import formula_of
from liftwerk.metrics.kinds import properties_of
from liftwerk.metrics.value import keys_said, parse_value, value_types

COUNTING = {
    "any": "asks whether it happened",
    "count": "counts it",
    "sum": "sums it",
    "new": "asks whether it happened for the first time",
    "lapse": "asks whether it did not happen",
}
"""What an aggregate does with events."""


def sources_of(project: Project, name: str) -> Iterator[tuple[str, str]]:
    """Tell what a metric is made of.

    Parameters
    ----------
    project : Project
    name : str

    Yields
    ------
    tuple of str
        ``metrics.NAME``, ``models.NAME``, ``events.NAME``, ``events.NAME.PROPERTY`` or
        ``entities.NAME.PROPERTY``; and what the metric does with it.
    """
    metrics = project.get(METRICS)
    metric = metrics[name]
    if metric.formula is not None:
        for part in formula_of(metrics, name).names:
            yield f"metrics.{part}", "is reckoned with it"
    if metric.incremental is not None:
        yield f"metrics.{metric.incremental}", "is what was added to it"
    if metric.measured is not None and metric.measured.startswith("model:"):
        model = metric.measured.removeprefix("model:").partition(".")[0]
        yield f"models.{model}", "is measured of it"
    if metric.per is not None:
        yield f"metrics.{metric.per}", "is a mean over whom it counts"
    if metric.from_ is not None:
        yield from _counted(project, metric)


def _counted(project: Project, metric: MetricDefinition) -> Iterator[tuple[str, str]]:
    assert metric.aggregate is not None  # the definition's check demands it
    why = COUNTING[metric.aggregate]
    entities = project.get(ENTITIES)
    if metric.from_ in entities:
        key = entities[metric.from_].key[0]
        if metric.property is not None:
            key = metric.property
        yield f"entities.{metric.from_}.{key}", why
        return
    event = known_events(project)[str(metric.from_)]
    summed = []
    if metric.property is not None:
        summed.append(metric.property)
    if metric.value is not None:
        types = value_types(event, metric.unnest, entities)
        summed += parse_value(metric.value, types).names
    own = properties_of(project, metric)
    read: dict[str, str] = {}
    for name in summed:
        root = name.partition(".")[0]
        if root in own:
            read[f"events.{metric.from_}.{root}"] = why
            continue
        read[f"entities.{name}"] = "looks it up"
        for column in (keys_said(event, metric.unnest, entities[root]) or {}).values():
            read.setdefault(f"events.{metric.from_}.{column.partition('.')[0]}", why)
    if metric.unnest is not None:
        read.setdefault(f"events.{metric.from_}.{metric.unnest}", why)
    if metric.where is not None:
        columns = columns_of_event(event, project.currency, metric.unnest)
        for name in parse_condition(metric.where, columns).names:
            root = name.partition(".")[0]
            if root in own:
                read.setdefault(f"events.{metric.from_}.{root}", "counts only some by it")
    if not any(name.startswith("events.") for name in read):
        read[f"events.{metric.from_}"] = why
    yield from read.items()


def in_words(metric: MetricDefinition) -> str:
    """Say in a line how a metric comes about.

    Examples
    --------
    >>> from liftwerk.definitions.typed import Duration
    >>> in_words(MetricDefinition("", "visit", "any", Duration("14d"), where="page = '/'"))
    "whether visit happened with page = '/', within 14d"
    """
    if metric.formula is not None:
        return metric.formula
    if metric.incremental is not None:
        return f"what the programme added to {metric.incremental}"
    if metric.measured is not None:
        return f"measured: {metric.measured.partition(':')[2]}"
    what = _WORDS[str(metric.aggregate)].format(metric.from_)
    if metric.aggregate == "sum":
        summed = metric.value
        if metric.property is not None:
            summed = metric.property
        if metric.multiply is not None:
            summed = f"{metric.multiply} of {summed}"
        what = f"{summed} of {metric.from_}"
    if metric.where is not None:
        what += f" with {metric.where}"
    if metric.within is not None:
        what += f", within {metric.within}"
    if metric.per is not None:
        what += f", per {metric.per}"
    if metric.subtract is not None:
        what += ", less the action's cost"
    return what


_WORDS = {
    "any": "whether {} happened",
    "count": "number of {}",
    "sum": "{}",
    "new": "whether the first {} of all happened",
    "lapse": "whether no {} happened",
}
