"""Lay a metric's periods out over the blocks of a switchback."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from numpy.typing import NDArray

from liftwerk.errors import Refused
from liftwerk.experiments.definition import Switchback
from liftwerk.stats.switchback.periods import hourly_season

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

WHERE = "the metric's periods"


class Series(Struct, frozen=True, eq=False):
    """Periods in the order of time, each in a block.

    Attributes
    ----------
    start : (n,) int array
        Microseconds since 1970-01-01 UTC.
    value, weight : (n,) float array
    row : (n,) int array
        Each period's row in the schedule.
    age : (n,) int array
        How many periods into its block it is.
    season : (n, q) float array
    washout : int
        Periods of a block that are not counted.
    """

    start: Integers
    value: Floats
    weight: Floats
    row: Integers
    age: Integers
    season: Floats
    washout: int


def lay_out(table: pa.Table, blocks: pa.Table, turns: Switchback, zone: tzinfo) -> Series:
    """Find each period's block, its age and its season.

    Parameters
    ----------
    table : pyarrow.Table
        A row a period: ``start`` (timestamp), ``value`` (double) and, for a ratio, ``weight`` (its
        denominator). Periods without a value are left out.
    blocks : pyarrow.Table
        From `schedule`.
    turns : Switchback
    zone : tzinfo

    Returns
    -------
    Series

    Raises
    ------
    Refused
        If there are no periods, or they don't fit into blocks.
    """
    table = _sorted(table, blocks)
    start = _microseconds(table.column("start"))
    length = turns.block.microseconds
    if start.shape[0] > 1:
        length = int(np.diff(start).min())
    if length <= 0:
        raise Refused("two periods start at one time", WHERE, "give one row for each period")
    begins, ends = _microseconds(blocks.column("begins")), _microseconds(blocks.column("ends"))
    row = np.searchsorted(begins, start, side="right") - 1
    late = start + length > ends[row]
    if late.any():
        hint = "ask for periods that are as long as a block, or fit into it several times"
        raise Refused(f"{int(late.sum())} periods last beyond their block", WHERE, hint)
    weight = np.ones(start.shape[0])
    if "weight" in table.column_names:
        weight = table.column("weight").fill_null(0.0).to_numpy().astype(np.float64)
    return Series(
        start=start,
        value=table.column("value").to_numpy().astype(np.float64),
        weight=weight,
        row=row.astype(np.int64),
        age=(start - begins[row]) // length,
        season=_season(table.column("start"), zone),
        washout=-(-turns.washout.microseconds // length),
    )


def _sorted(table: pa.Table, blocks: pa.Table) -> pa.Table:
    """Keep the periods that have a value and lie in a block, in the order of time."""
    inside = pc.and_(
        pc.greater_equal(table.column("start"), pc.min(blocks.column("begins"))),
        pc.less(table.column("start"), pc.max(blocks.column("ends"))),
    )
    kept = table.filter(pc.and_(inside, pc.is_valid(table.column("value"))))
    if kept.num_rows == 0:
        raise Refused("no period has a value", WHERE, "read it once the metric has been counted")
    return kept.sort_by("start")


def _microseconds(times: pa.ChunkedArray) -> Integers:
    stamps = times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(stamps.to_numpy(), dtype=np.int64)


def _season(times: pa.ChunkedArray, zone: tzinfo) -> Floats:
    local = pc.local_timestamp(times.cast(pa.timestamp("us", tz=str(zone))))
    hour = pc.hour(local).to_numpy().astype(np.int64)
    weekday = pc.day_of_week(local).to_numpy().astype(np.int64)
    return hourly_season(hour, weekday)


def span(table: pa.Table) -> tuple[datetime, datetime]:
    """Give the first period's start, and the moment after the last one's.

    Raises
    ------
    Refused
        If there is no period.
    """
    if table.num_rows == 0:
        raise Refused("no period has a value", WHERE, "read it once the metric has been counted")
    times = table.column("start").cast(pa.timestamp("us", tz="UTC"))
    return pc.min(times).as_py(), pc.max(times).as_py() + timedelta(microseconds=1)
