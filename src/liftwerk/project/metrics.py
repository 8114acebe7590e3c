"""The project's metrics through the door: what they mean, and what they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.definitions.project import plain_value
from liftwerk.errors import InputError, ProjectError
from liftwerk.experiments.effects import PROGRAMME, latest
from liftwerk.metrics.catalogue import in_words, sources_of
from liftwerk.metrics.definition import GOAL, METRICS
from liftwerk.metrics.formula import formula_of
from liftwerk.metrics.kinds import columns_of, goal_metric, is_in_money, kind_of, level_of
from liftwerk.metrics.period import Added, Period, Told, Value, Window, value_in, windows
from liftwerk.metrics.read import plans_of
from liftwerk.metrics.units import counted_by
from liftwerk.privacy.definition import PURPOSES
from liftwerk.project.models import cards
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.stores import Stores

Json = dict[str, Any]
Rows = list[Json]

WIDEST = ("legal_obligation", "contract", "legitimate_interest", "consent")
"""Bases, by how much may be read on them."""


def widest(project: Project) -> str:
    """Name the purpose that sees most: what it does not see, no other does.

    Raises
    ------
    InputError
        If none is declared.
    """
    purposes = project.get(PURPOSES)
    if not purposes:
        raise InputError("no purpose is declared", "[purposes]", "say what events are read for")
    return min(purposes, key=lambda name: WIDEST.index(purposes[name].basis))


class Metrics:
    """The metrics of a project.

    Parameters
    ----------
    project : liftwerk.definitions.Project
    stores : Stores
    clock : Clock
    system : callable
        Name of a figure of the machine -> its value; None where nothing says it.
    """

    def __init__(
        self,
        project: Project,
        stores: Stores,
        clock: Clock,
        system: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        self._project = project
        self._stores = stores
        self._clock = clock
        self._system = system

    def list(self) -> Rows:
        """List every metric: the goal, then those of the business, of models, of the system."""
        declared = self._project.get(METRICS)
        rows = [self._row(name) for name in declared]
        order = ("business", "model", "system")
        return sorted(rows, key=lambda row: (not row["is_goal"], order.index(row["level"])))

    def show(
        self,
        name: str,
        period: Period = "month",
        many: int = 3,
        purpose: str | None = None,
    ) -> Json:
        """Tell of one metric: what it means, what it is made of, and what it was.

        Parameters
        ----------
        name : str
        period : str
            ``day``, ``week`` or ``month`` of the calendar.
        many : int
            How many of them, the last ones that are over. What was added, and what is measured,
            is told once, as it is known now.
        purpose : str, optional
            What events are read for; by default the declared one that sees most.

        Raises
        ------
        UnknownName
            If the metric or the purpose is not declared.
        """
        self._project.lookup(METRICS, name)
        asked = purpose
        if asked is None:
            asked = widest(self._project)
        now = self._clock.now()
        told = Told(self._added, self._measured)
        values = []
        asked_for = windows(period, self._project.timezone, now, many)
        is_dated = self._is_dated(name)
        if is_dated:
            # It is of the time of its effect, or of its measurement: no period has one of its own.
            asked_for = asked_for[-1:]
        for window in asked_for:
            start, end = window.start.isoformat(), window.end.isoformat()
            if is_dated:
                start = end = now.isoformat()
            given = (self._project, self._stores, name, asked, window)
            value = value_in(*given, now=now, told=told)
            values.append(
                {
                    "start": start,
                    "end": end,
                    "value": _plain(value),
                    "stands": standing(self._row(name), value),
                }
            )
        made = [{"from": source, "why": why} for source, why in sources_of(self._project, name)]
        return {
            **self._row(name),
            "made_of": made,
            "period": period,
            "purpose": asked,
            "values": values,
        }

    def sql(self, name: str) -> Sequence[str]:
        """Return the statements that count a metric for each unit of an experiment.

        Raises
        ------
        UnknownName, InputError
            If it is not declared, or nobody has a number of it.
        """
        counted = counted_by(self._project, columns_of(self._project, name).values())
        return [plan.sql for plan in plans_of(self._project, counted, "customers")]

    def _is_dated(self, name: str) -> bool:
        metrics = self._project.get(METRICS)
        metric = metrics[name]
        if metric.formula is not None:
            return any(self._is_dated(part) for part in formula_of(metrics, name).names)
        return metric.measured is not None or metric.incremental is not None

    def _row(self, name: str) -> Json:
        metric = self._project.get(METRICS)[name]
        goal = self._project.find(GOAL)
        plain = plain_value(metric)
        return {
            "metric": name,
            "description": metric.description,
            "how": in_words(metric),
            "level": level_of(metric),
            "kind": _kind(self._project, name),
            "is_goal": goal is not None and goal.metric == name,
            "unit": self._unit(name),
            "better": metric.better,
            "target": plain["target"],
            "threshold": plain["threshold"],
            "supports": metric.supports,
            "owner": metric.owner,
            "surrogate": plain["surrogate"],
        }

    def _unit(self, name: str) -> str:
        unit = self._project.get(METRICS)[name].unit
        if not unit and is_in_money(self._project, name):
            return self._project.currency
        return unit

    def _added(self, name: str) -> Added | None:
        found = latest(self._stores.ledger, PROGRAMME, goal_metric(self._project, name))
        if not found:
            return None
        (effect,) = found
        return Added(effect.estimate, Window(effect.start, effect.end), effect.unit)

    def _measured(self, what: str) -> float | None:
        source, _, name = what.partition(":")
        if source == "system":
            return self._system(name)
        model, _, figure = name.partition(".")
        for card in cards(self._stores):
            if card["model"] == model:
                return _figure(card, figure.split("."))
        return None


def standing(row: Mapping[str, Any], value: Value) -> str | None:
    """Say how a value stands to target and threshold, by its point; None where neither is declared.

    Examples
    --------
    >>> row = {"better": "lower", "target": "0.08", "threshold": "0.15"}
    >>> [standing(row, value) for value in (0.05, 0.1, 0.2)]
    ['passed', 'warning', 'alarm']
    """
    if isinstance(value, Unknown) or (row["target"] is None and row["threshold"] is None):
        return None
    point = value
    if isinstance(value, Estimate):
        point = value.value
    assert isinstance(point, float)
    sign = {"higher": 1, "lower": -1}[row["better"]]
    if row["threshold"] is not None and sign * (point - float(row["threshold"])) < 0:
        return "alarm"
    if row["target"] is not None and sign * (point - float(row["target"])) < 0:
        return "warning"
    return "passed"


def _kind(project: Project, name: str) -> str | None:
    try:
        return kind_of(project, name)
    except ProjectError:
        return None  # no unit of an experiment has a number of it


def _plain(value: Value) -> Any:
    if isinstance(value, Unknown):
        return {"unknown": value.reason, "needs": value.needs}
    if isinstance(value, Estimate):
        return msgspec.to_builtins(value)
    return value


def _figure(facts: Any, path: Sequence[str]) -> float | None:
    found = facts
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    if isinstance(found, Mapping):
        found = found.get("value")
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found)
