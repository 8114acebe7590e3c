"""Read a switchback from the project's own events, and the history that it is planned by."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, tzinfo

import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import MICROSECONDS, Duration
from liftwerk.errors import Refused
from liftwerk.experiments.begun import begun
from liftwerk.experiments.definition import ExperimentDefinition, Switchback
from liftwerk.experiments.once import Once, Seen, lay_out
from liftwerk.experiments.state import state_of
from liftwerk.experiments.switchback.blocks import blocks_between
from liftwerk.experiments.switchback.checks import checks_of
from liftwerk.experiments.switchback.read import ArmReading, Reading, read_switchback
from liftwerk.experiments.switchback.turns import turns_of
from liftwerk.metrics.series import per_period, statements
from liftwerk.stats.estimate import Estimate, Unknown
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
    state, _, end = begun(project, stores, name, "switchback", now)
    experiment, zone, start = state.definition, project.timezone, state.ramps[-1].at
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


def read_turns(
    project: Project, stores: Stores, name: str, *, now: datetime, offset: int | None = None
) -> Once:
    """Read a switchback, with what is to be done about it.

    Parameters
    ----------
    project, stores, name, now, offset : as for `read_measured`

    Returns
    -------
    Once
    """
    found = read_measured(project, stores, name, now=now, offset=offset)
    state = state_of(stores.ledger, name)
    experiment = state.definition
    turns = turns_of(name, experiment)
    length = period_length(turns)
    first = next(iter(found.values()))
    arms = [(metric, arm) for metric, one in found.items() for arm in one.arms]
    units = {arm.arm: arm.blocks for arm in first.arms}
    sql = {
        f"{metric}: {event}": text
        for metric in found
        for event, text in statements(project, metric, length).items()
    }
    notes = f"Blocks of {spelt(turns.block)}."
    if turns.washout.microseconds:
        notes = f"Blocks of {spelt(turns.block)}, the first {spelt(turns.washout)} not counted."
    reading = lay_out(
        project,
        state,
        [_seen(metric, arm) for metric, arm in arms],
        [
            check
            for metric, arm in arms
            for check in checks_of(arm, first.washout, f"{metric} of {arm.arm}")
        ],
        unit=f"period of {spelt(length)}",
        units={experiment.control: first.arms[0].control_blocks, **units},
        start=first.turns[0].begins,
        notes=(notes,),
        sql=sql,
        now=now,
    )
    return Once(reading, found, first.turns[-1].ends)


def _seen(metric: str, arm: ArmReading) -> Seen:
    absolute = arm.effect.estimate
    relative = part_of(absolute, arm.control)
    told = (arm.control, arm.treated, absolute, relative, arm.effect.p_value)
    return Seen(metric, arm.arm, *told)


def part_of(absolute: Estimate | Unknown, control: float | None) -> Estimate | Unknown:
    """Read an effect as a part of control's mean, which is taken as it is.

    Parameters
    ----------
    absolute : Estimate or Unknown
    control : float or None

    Returns
    -------
    Estimate or Unknown

    Examples
    --------
    >>> print(part_of(Estimate(1.0, 0.5, 1.5, 0.2, 80, "m"), 10.0))
    0.1 (0.05 to 0.15)
    """
    if isinstance(absolute, Unknown):
        return absolute
    if control is None or control <= 0.0:
        return Unknown("control has a mean of 0", "a metric that is above 0")
    ends = (absolute.value, absolute.low, absolute.high, absolute.standard_error)
    value, low, high, error = (end / control for end in ends)
    given = (absolute.n, absolute.method, absolute.assumptions, absolute.level)
    return Estimate(value, low, high, error, *given)


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


def spelt(length: Duration) -> str:
    """Write a length as people say it: what was registered is written in microseconds.

    Examples
    --------
    >>> spelt(Duration("60min")), spelt(Duration("90min")), spelt(Duration("48h"))
    ('1h', '90min', '2d')
    """
    for unit in ("d", "h", "min", "s"):
        if length.microseconds and not length.microseconds % MICROSECONDS[unit]:
            return f"{length.microseconds // MICROSECONDS[unit]}{unit}"
    return str(length)


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
