"""A geo test from the project's own events: each metric by region and day, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

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
        By metric, those it is judged by first. Days are of the project's time zone; that of the
        start is the first of the test, and the last is the last one that was over before the
        stop.

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
    zone = project.timezone
    start, end = _day(started, zone), _day(until, zone) - DAY
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
        start=_midnight(first.start, project.timezone),
        notes=(f"Days are of {project.timezone.key}, {first.start} to {first.end}.",),
        sql=sql,
        now=now,
    )
    return Once(reading, found, _midnight(first.end + DAY, project.timezone))


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
        Days of the project's time zone; those before anything was counted are left out.
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
    days = [first + place * DAY for place in range((end - first).days + 1)]
    found = _by_day(project, stores, experiment, metric, days, as_of)
    return from_table(_since_all(found), f"metric {metric} by {experiment.geo}")


def _by_day(
    project: Project,
    stores: Stores,
    experiment: ExperimentDefinition,
    metric: str,
    days: Sequence[date],
    as_of: AsOf,
) -> pa.Table:
    """Count a metric by ``geo`` and ``day``; ``value`` is 0 where nothing happened."""
    assert experiment.geo is not None  # the definition's check demands it
    assert as_of.time is not None
    by_length: dict[timedelta, list[date]] = {}
    for day in days:
        begin, end = (_midnight(one, project.timezone) for one in (day, day + DAY))
        by_length.setdefault(end - begin, []).append(day)
    counted = []
    # Days are of one length, except those on which clocks are put forward or back.
    for length, some in by_length.items():
        starts = [_midnight(day, project.timezone) for day in some]
        long = Duration(f"{length // timedelta(microseconds=1)}us")
        given = (metric, experiment.purpose, experiment.geo, starts, long)
        found = per_region(project, stores, *given, now=as_of.time, offset=as_of.offset)
        place = pc.index_in(found["start"], value_set=pa.array(starts, found["start"].type))
        day_of = pa.array(some, pa.date32()).take(place)
        counted.append(pa.table({"geo": found["region"], "day": day_of, "value": found["value"]}))
    seen = pa.concat_tables(counted)
    regions = pc.unique(seen["geo"])
    each = pa.table(
        {
            "geo": regions.take(pa.array(np.repeat(np.arange(len(regions)), len(days)))),
            "day": pa.array(list(days) * len(regions), pa.date32()),
        }
    )
    # A region that is named on no day of one length has nothing there.
    table = each.join(seen, ["geo", "day"]).sort_by([("geo", "ascending"), ("day", "ascending")])
    return table.set_column(2, "value", pc.fill_null(table["value"], 0.0))


def _since_all(table: pa.Table) -> pa.Table:
    """Begin where anything was counted first: before, nothing was collected."""
    there = table.filter(pc.not_equal(table["value"], 0.0))["day"]
    if not len(there):
        return table.slice(0, 0)
    return table.filter(pc.greater_equal(table["day"], pc.min(there)))


def _day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
