"""A geo test from the project's own events: each metric by region and day, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration
from liftwerk.errors import Refused
from liftwerk.experiments.begun import begun
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.experiments.geo.cells import of_arms
from liftwerk.experiments.geo.markets import Markets, from_table
from liftwerk.experiments.geo.read import read
from liftwerk.experiments.geo.results import CellReading, GeoReading
from liftwerk.experiments.once import Once, Seen, lay_out
from liftwerk.experiments.reading import Check
from liftwerk.experiments.state import state_of
from liftwerk.metrics.series import per_region, statements
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

HISTORY_DAYS = 182
"""Days before the test from which is learnt what would have been."""

DAY = timedelta(days=1)


def read_measured(
    project: Project,
    stores: Stores,
    name: str,
    *,
    now: datetime,
    offset: int | None = None,
    spend: Mapping[str, float] | None = None,
) -> dict[str, GeoReading]:
    """Read every metric of a geo test as far as it has run.

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
    spend : mapping of str to float, optional
        What each arm cost.

    Returns
    -------
    dict of str to GeoReading
        By metric, those it is judged by first. Days are of UTC; that of the start is the first of
        the test, and the last is the last one that was over before the stop.

    Raises
    ------
    UnknownName
        If it is not declared.
    Refused
        If it is no geo test, was not started, or no day of it is over.
    InputError
        If a metric is not added up over time, or its event names no region.
    """
    state, started, until = begun(project, stores, name, "geo", now)
    experiment = state.definition
    start, end = _day(started), _day(until) - DAY
    if end < start:
        hint = "wait for the first whole day after the start"
        raise Refused("no day of it is over", f"experiment {name}", hint)
    as_of = AsOf(now, offset)
    readings = {}
    for metric in (*experiment.metrics, *experiment.counter_metrics):
        since = start - HISTORY_DAYS * DAY
        markets = markets_of(project, stores, experiment, metric, since, end, as_of)
        rng = np.random.default_rng(0)
        readings[metric] = read(
            markets, of_arms(experiment), start, end, rng=rng, spend=spend,
            level=experiment.level.value,
        )  # fmt: skip
    return readings


def read_geo(
    project: Project, stores: Stores, name: str, *, now: datetime, offset: int | None = None
) -> Once:
    """Read a geo test, with what is to be done about it.

    Parameters
    ----------
    project, stores, name, now, offset : as for `read_measured`

    Returns
    -------
    Once
    """
    arms = project.lookup(EXPERIMENTS, name).arms
    spend = {arm: float(said.spend) for arm, said in arms.items() if said.spend is not None}
    found = read_measured(project, stores, name, now=now, offset=offset, spend=spend)
    state = state_of(stores.ledger, name)
    experiment = state.definition
    first = next(iter(found.values()))
    cells = [(metric, cell) for metric, one in found.items() for cell in one.cells]
    several = len(cells) > 1
    units = {cell.cell: len(cell.markets) for cell in first.cells}
    sql = {
        f"{metric}: {event}": text
        for metric in found
        for event, text in statements(project, metric, Duration("1d"), experiment.geo).items()
    }
    reading = lay_out(
        project,
        state,
        [_seen(metric, cell) for metric, cell in cells],
        [_told(check, metric, cell, several) for metric, cell in cells for check in cell.checks],
        unit="market and day",
        units={experiment.control: first.others, **units},
        start=_midnight(first.start),
        notes=(f"Days are of UTC, {first.start} to {first.end}.",),
        sql=sql,
        now=now,
    )
    return Once(reading, found, _midnight(first.end) + DAY)


def _seen(metric: str, cell: CellReading) -> Seen:
    during = slice(cell.series.before, None)
    control = float(np.mean(cell.series.counterfactual[during]))
    treated = float(np.mean(cell.series.treated[during]))
    return Seen(metric, cell.cell, control, treated, cell.effect, cell.lift, cell.p_value)


def _told(check: Check, metric: str, cell: CellReading, several: bool) -> Check:
    """Say of what a check is, where that could be asked, as a sentence."""
    words = f"{check.words[:1].upper()}{check.words[1:]}."
    if several:
        words = f"{metric} of {cell.cell}: {check.words}."
    return Check(check.name, check.state, words)


def markets_of(
    project: Project,
    stores: Stores,
    experiment: ExperimentDefinition,
    metric: str,
    first: date,
    end: date,
    as_of: AsOf,
) -> Markets:
    """Lay out a metric by region and day.

    Parameters
    ----------
    project : Project
    stores : Stores
    experiment : ExperimentDefinition
        With ``design = "geo"``.
    metric : str
    first, end : date
        Days of UTC; those before anything was counted are left out.
    as_of : AsOf
        What is known: it has a time.

    Returns
    -------
    Markets

    Raises
    ------
    InputError
        If the metric is not added up over time, its event names no region, or nothing was counted.
    """
    assert experiment.geo is not None  # the definition's check demands it
    assert as_of.time is not None
    starts = [_midnight(first + place * DAY) for place in range((end - first).days + 1)]
    given = (metric, experiment.purpose, experiment.geo, starts, Duration("1d"))
    found = per_region(project, stores, *given, now=as_of.time, offset=as_of.offset)
    return from_table(_since_all(found), f"metric {metric} by {experiment.geo}")


def _since_all(found: pa.Table) -> pa.Table:
    """Begin where anything was counted first: before, nothing was collected."""
    day = found["start"].cast(pa.date32())
    there = found.filter(pc.not_equal(found["value"], 0.0))["start"].cast(pa.date32())
    table = pa.table({"geo": found["region"], "day": day, "value": found["value"]})
    if not len(there):
        return table.slice(0, 0)
    return table.filter(pc.greater_equal(table["day"], pc.min(there)))


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
