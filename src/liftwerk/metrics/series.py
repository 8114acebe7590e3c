"""What a metric was in each of many periods: what experiments in time and in regions are read from.

A period holds [start, start + length), whatever window the metric has of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration
from liftwerk.errors import InputError
from liftwerk.events.definition import known_events
from liftwerk.events.engine import quoted
from liftwerk.metrics.compile import TRUSTED, Plan
from liftwerk.metrics.definition import MetricDefinition
from liftwerk.metrics.formula import Sum
from liftwerk.metrics.kinds import columns_of
from liftwerk.metrics.read import opened, plans_of, states_by_row
from liftwerk.metrics.reckon import dictionary, reckoned, weighted
from liftwerk.metrics.units import counted_by
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

ADDED = ("count", "sum")
"""Aggregates of which a period's number is the sum of its events'."""

TICK = timedelta(microseconds=1)
STAMP = pa.timestamp("us", "UTC")


def per_period(
    project: Project,
    stores: Stores,
    metric: str,
    purpose: str,
    starts: Sequence[datetime],
    length: Duration,
    *,
    now: datetime,
    offset: int | None = None,
) -> pa.Table:
    """Count a metric in periods of one length.

    Parameters
    ----------
    project : Project
    stores : Stores
    metric : str
        A sum or a count of events, what a formula makes of these, or a ratio of two such; its own
        window is not asked for.
    purpose : str
        What is read for.
    starts : sequence of datetime
        Of the periods; each holds [start, start + length).
    length : Duration
    now : datetime
        What was known later is left out, and so is the value of a period that is not over.
    offset : int, optional
        Only what the log knew up to this offset.

    Returns
    -------
    pyarrow.Table
        ``start`` (timestamp us UTC), ``value`` (double; null where the period is not over, and of
        a ratio where there is nothing to divide by) and, for a ratio, ``weight``, its denominator.

    Raises
    ------
    UnknownName
        If the metric or the purpose is not declared.
    InputError
        If it is not such a metric.
    Refused
        If money in another currency would have to be mixed in.
    """
    columns = columns_of(project, metric)
    plans = plans_of(project, _added_up(project, columns, length), "periods")
    begins = pa.array(starts, STAMP)
    spine = pa.table({"time": _just_before(begins)})
    with opened(project, stores, plans, purpose, AsOf(now, offset)) as connection:
        sides = _sides(connection, project, columns, plans, spine)
    over = pc.less_equal(begins, pa.scalar(now - length.timedelta, STAMP))
    value = sides[0]
    table = {"start": begins}
    if len(sides) == 2:
        there = sides[1] != 0.0
        value = np.divide(sides[0], sides[1], out=np.zeros(len(starts)), where=there)
        over = pc.and_(over, pa.array(there))
    table["value"] = pc.if_else(over, pa.array(value), None)
    if len(sides) == 2:
        table["weight"] = pa.array(sides[1])
    return pa.table(table)


def per_region(
    project: Project,
    stores: Stores,
    metric: str,
    purpose: str,
    region: str,
    starts: Sequence[datetime],
    length: Duration,
    *,
    now: datetime,
    offset: int | None = None,
) -> pa.Table:
    """Count a metric in each region and period that is over.

    Parameters
    ----------
    project, stores, purpose, starts, length, now, offset : as for `per_period`
    metric : str
        A sum or a count of events, or what a formula adds up of these.
    region : str
        The property of all its events that names the region.

    Returns
    -------
    pyarrow.Table
        ``region`` (string), ``start`` and ``value`` (double): a row for each region that an event
        of these periods names, in each of them; 0 where nothing happened.

    Raises
    ------
    UnknownName
        If the metric or the purpose is not declared.
    InputError
        If it is not such a metric, or one of its events has no such property.
    Refused
        If money in another currency would have to be mixed in.
    """
    columns = columns_of(project, metric)
    if len(columns) != 1:
        what = f"{metric!r} is a ratio, and a region's days are added up"
        raise InputError(what, f"metrics.{metric}", "name its numerator, or a sum")
    counted = _added_up(project, columns, length)
    plans = plans_of(project, counted, "regions", region)
    for plan in plans:
        if region not in known_events(project)[plan.event].properties:
            what = f"{plan.event!r} does not say in which {region!r} it happened"
            raise InputError(what, f"metrics.{metric}", f"add the property {region!r} to the event")
    begins = pa.array([one for one in starts if one + length.timedelta <= now], STAMP)
    with opened(project, stores, plans, purpose, AsOf(now, offset)) as connection:
        names = pa.array(_regions(connection, plans, region, begins, length), pa.string())
        place = np.repeat(np.arange(len(names)), len(begins))
        at = begins.take(pa.array(np.tile(np.arange(len(begins)), len(names))))
        spine = pa.table({"_region": names.take(pa.array(place)), "time": _just_before(at)})
        (value,) = _sides(connection, project, columns, plans, spine)
    return pa.table({"region": spine["_region"], "start": at, "value": value})


def statements(
    project: Project, metric: str, length: Duration, region: str | None = None
) -> dict[str, str]:
    """Return what is asked of each event for `per_period`, or with `region` for `per_region`.

    Parameters
    ----------
    project : Project
    metric : str
    length : Duration
    region : str, optional

    Returns
    -------
    dict of str to str
        Event -> SQL.
    """
    counted = _added_up(project, columns_of(project, metric), length)
    if region is None:
        plans = plans_of(project, counted, "periods")
    else:
        plans = plans_of(project, counted, "regions", region)
    return {plan.event: plan.sql for plan in plans}


def _added_up(
    project: Project, columns: Mapping[str, Sum], length: Duration
) -> dict[str, MetricDefinition]:
    """Return what is counted, over periods instead of windows of its own."""
    counted = counted_by(project, columns.values())
    for name, one in counted.items():
        if one.aggregate not in ADDED or one.subtract is not None:
            what = f"{name!r} is counted for each customer, and not added up over time"
            hint = "name a metric that counts or sums events, or a ratio of such"
            raise InputError(what, f"metrics.{name}", hint)
    return {name: structs.replace(one, within=length) for name, one in counted.items()}


def _just_before(begins: pa.Array) -> pa.Array:
    """Step back: a window leaves its beginning out and its end in, a period the other way round."""
    return pc.subtract(begins, pa.scalar(TICK))


def _sides(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    columns: Mapping[str, Sum],
    plans: Sequence[Plan],
    spine: pa.Table,
) -> list[NDArray[np.float64]]:
    """Count the columns of a metric: itself, or a ratio's numerator and denominator."""
    states = states_by_row(connection, plans, spine, project.currency)
    by_name = {one.name: one for plan in plans for one in plan.counted}
    nobody = dictionary(pa.chunked_array([pa.repeat("", spine.num_rows)]))
    return [reckoned(weighted(one, by_name), states, nobody, {}) for one in columns.values()]


def _regions(
    connection: duckdb.DuckDBPyConnection,
    plans: Sequence[Plan],
    region: str,
    begins: pa.Array,
    length: Duration,
) -> list[str]:
    """List the regions that events of the periods name."""
    if not len(begins):
        return []
    first, last = pc.min(begins).as_py(), pc.max(begins).as_py() + length.timedelta
    found: set[str] = set()
    for event in dict.fromkeys(plan.event for plan in plans):
        rows = connection.execute(
            f"SELECT DISTINCT CAST({quoted(region)} AS VARCHAR) FROM {quoted(event)}"
            f" WHERE {quoted(region)} IS NOT NULL AND time >= ? AND time < ?"
            " AND list_contains(?, trust) AND NOT synthetic AND NOT modelled",
            [first, last, list(TRUSTED)],
        ).fetchall()
        found |= {name for (name,) in rows}
    return sorted(found)
