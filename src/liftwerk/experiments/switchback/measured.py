"""Read a switchback from the project's own events, and the history that it is planned by."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, tzinfo

import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration
from liftwerk.errors import Refused
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition, Switchback
from liftwerk.experiments.state import state_of
from liftwerk.experiments.switchback.blocks import blocks_between
from liftwerk.experiments.switchback.read import Reading, read_switchback
from liftwerk.experiments.switchback.turns import turns_of
from liftwerk.metrics.series import per_period
from liftwerk.store.stores import Stores

HOUR = 3_600_000_000
HISTORY = timedelta(weeks=8)
"""How far back a plan looks."""


def read_measured(
    project: Project, stores: Stores, name: str, *, now: datetime, offset: int | None = None
) -> dict[str, Reading]:
    """Read every metric of a switchback as far as it has run.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        A declared experiment that was started.
    now : datetime
        What was learnt later is left out.
    offset : int, optional
        Only what the log knew up to this offset.

    Returns
    -------
    dict of str to Reading
        By metric, those it is judged by first. Blocks from before the last ramp are left out: it
        let in more of them, which until then had control's action whatever their arm.

    Raises
    ------
    UnknownName
        If it is not declared.
    Refused
        If it is no switchback, was not started, or no block is over.
    InputError
        If a metric is not added up over time.
    """
    declared = project.lookup(EXPERIMENTS, name)
    turns_of(name, declared)
    state = state_of(stores.ledger, name)
    if state.started is None:
        hint = f"liftwerk experiment start {name}"
        raise Refused("it was not started", f"experiment {name}", hint)
    experiment, zone = state.definition, project.timezone
    start, end = state.ramps[-1].at, now
    if state.stopped is not None:
        end = min(now, state.stopped)
    readings = {}
    for metric in (*experiment.metrics, *experiment.counter_metrics):
        periods = _periods(turns_of(name, experiment), start, end, zone)
        if not periods:
            hint = "wait for the first whole block, and its metrics"
            raise Refused("no block is over", f"experiment {name}", hint)
        table = _series(project, stores, experiment, metric, periods, now, offset)
        readings[metric] = read_switchback(
            name, experiment, table, start=start, end=end, zone=zone, share=state.share
        )
    return readings


def history_of(
    project: Project,
    stores: Stores,
    name: str,
    experiment: ExperimentDefinition,
    metric: str,
    *,
    now: datetime,
) -> pa.Table:
    """Count a metric in the periods of the last weeks, from where anything was counted first.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
    experiment : ExperimentDefinition
        What is planned of it; its periods are as long as those of its reading.
    metric : str
    now : datetime

    Returns
    -------
    pyarrow.Table
        As `read_switchback` takes it; empty where nothing was counted.

    Raises
    ------
    Refused
        If it is no switchback.
    InputError
        If the metric is not added up over time.
    """
    periods = _periods(turns_of(name, experiment), now - HISTORY, now, project.timezone)
    table = _series(project, stores, experiment, metric, periods, now, None)
    return _since_anything(table)


def period_length(turns: Switchback) -> Duration:
    """Choose periods that fit into blocks, washout and hours.

    Examples
    --------
    >>> str(period_length(Switchback(Duration("6h"), Duration("90min"))))
    '30min'
    """
    shared = math.gcd(turns.block.microseconds, turns.washout.microseconds, HOUR)
    if shared % 60_000_000:
        return Duration(f"{shared}us")
    return Duration(f"{shared // 60_000_000}min")


def _periods(turns: Switchback, start: datetime, end: datetime, zone: tzinfo) -> list[datetime]:
    """List the periods of all whole blocks."""
    length = period_length(turns).timedelta
    return [
        block.begins + place * length
        for block in blocks_between(turns.block, start, end, zone)
        if block.begins >= start and block.ends <= end
        for place in range((block.ends - block.begins) // length)
    ]


def _series(
    project: Project,
    stores: Stores,
    experiment: ExperimentDefinition,
    metric: str,
    periods: list[datetime],
    now: datetime,
    offset: int | None,
) -> pa.Table:
    turns = experiment.switchback
    assert turns is not None  # `turns_of` has asked
    length = period_length(turns)
    given = (metric, experiment.purpose, periods, length)
    return per_period(project, stores, *given, now=now, offset=offset)


def _since_anything(table: pa.Table) -> pa.Table:
    """Begin a history where anything was counted first: before, nothing was collected."""
    for place, value in enumerate(table.column("value").to_pylist()):
        if value:
            return table.slice(place)
    return table.slice(0, 0)
