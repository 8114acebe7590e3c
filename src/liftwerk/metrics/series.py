"""What a metric was in each of many periods: what experiments in time are read from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration
from liftwerk.errors import InputError
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
    counted = counted_by(project, columns.values())
    for name, one in counted.items():
        if one.aggregate not in ADDED or one.subtract is not None:
            what = f"{name!r} is counted for each customer, and not added up over time"
            hint = "name a metric that counts or sums events, or a ratio of such"
            raise InputError(what, f"metrics.{name}", hint)
    wanted = {name: structs.replace(one, within=length) for name, one in counted.items()}
    plans = plans_of(project, wanted, "periods")
    begins = pa.array(starts, STAMP)
    # A window leaves its own beginning out and its end in; a period is the other way round.
    spine = pa.table({"time": pa.array([start - TICK for start in starts], STAMP)})
    with opened(project, stores, plans, purpose, AsOf(now, offset)) as connection:
        states = states_by_row(connection, plans, spine, project.currency)
    by_name = {one.name: one for plan in plans for one in plan.counted}
    nobody = dictionary(pa.chunked_array([pa.repeat("", len(starts))]))
    sides = [reckoned(weighted(one, by_name), states, nobody, {}) for one in columns.values()]
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
