"""Outcomes by market and day, checked: a full table without gaps, from Arrow or from a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.errors import InputError, UnknownName, did_you_mean

Floats: TypeAlias = NDArray[np.float64]
Days: TypeAlias = NDArray[np.datetime64]

GEO, DAY, VALUE, SPEND = "geo", "day", "value", "spend"


@dataclass(frozen=True)
class Markets:
    """Markets that are seen on the same days.

    Parameters
    ----------
    names : tuple of str
        In alphabetical order.
    days : (days,) datetime64[D] array
        At even distances: each day, or each week.
    values : (days, markets) float array
        The outcome.
    spend : (days, markets) float array or None
        What was spent there.
    where : str
        Where they come from, for messages.
    """

    names: tuple[str, ...]
    days: Days
    values: Floats
    spend: Floats | None
    where: str

    def columns(self, names: Iterable[str]) -> list[int]:
        """Find markets by name.

        Raises
        ------
        UnknownName
            If one is not among them.
        """
        places = {name: place for place, name in enumerate(self.names)}
        found = []
        for name in names:
            if name not in places:
                what = f"market {name!r} is not in the data"
                raise UnknownName(what, self.where, did_you_mean(name, self.names))
            found.append(places[name])
        return found

    def without(self, names: Sequence[str]) -> Markets:
        """Leave markets out.

        Raises
        ------
        UnknownName
            If one is not among them.
        """
        left = np.setdiff1d(np.arange(len(self.names)), self.columns(names))
        spend = self.spend
        if spend is not None:
            spend = spend[:, left]
        kept = tuple(self.names[place] for place in left)
        return replace(self, names=kept, values=self.values[:, left], spend=spend)

    def until(self, day: date) -> Markets:
        """Leave out what lies after a day.

        Raises
        ------
        InputError
            If the day is not among them.
        """
        end = self.row(day, "the last day of the history") + 1
        spend = self.spend
        if spend is not None:
            spend = spend[:end]
        return replace(self, days=self.days[:end], values=self.values[:end], spend=spend)

    def row(self, day: date, what: str) -> int:
        """Find the row of a day.

        Raises
        ------
        InputError
            If there is none.
        """
        found = np.flatnonzero(self.days == np.datetime64(day, "D"))
        if not found.size:
            raise InputError(f"{what} {day} is not among the days", self.where, self.said_range())
        return int(found[0])

    def said_range(self) -> str:
        """Say what days there are."""
        return f"there are {self.days[0]} to {self.days[-1]}, {_step_words(self.days)}"


def from_table(table: pa.Table, where: str) -> Markets:
    """Take a long table: a row a market and day.

    Parameters
    ----------
    table : pyarrow.Table
        Columns ``geo`` (string), ``day`` (date), ``value`` and, where it is known, ``spend``
        (numbers). A project's own metric by region and day has the same form.
    where : str
        What to call it in messages.

    Returns
    -------
    Markets

    Raises
    ------
    InputError
        Where the table is empty, a value is missing, a market has two rows of one day, or lacks
        one that others have.

    Examples
    --------
    >>> days = [date(2026, 3, 1), date(2026, 3, 2)]
    >>> rows = {"geo": ["a", "a", "b", "b"], "day": days * 2, "value": [1.0, 2.0, 3.0, 4.0]}
    >>> markets = from_table(pa.table(rows), "rows")
    >>> markets.names, markets.values.tolist()
    (('a', 'b'), [[1.0, 3.0], [2.0, 4.0]])
    """
    if table.num_rows == 0:
        raise InputError("there are no rows", where, "a row a market and day is needed")
    for name in table.column_names:
        missing = table[name].null_count
        if missing:
            raise InputError(
                f"{missing} rows have no {name}", where, "fill them or leave their market out"
            )
    geo = table[GEO].combine_chunks().cast(pa.string()).dictionary_encode()
    names = geo.dictionary.to_pylist()
    order = np.argsort(names)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.shape[0])
    column = rank[geo.indices.to_numpy(zero_copy_only=False)]
    stamps = (
        table[DAY]
        .combine_chunks()
        .cast(pa.date32())
        .to_numpy(zero_copy_only=False)
        .astype("datetime64[D]")
    )
    days, row = np.unique(stamps, return_inverse=True)
    names = tuple(names[place] for place in order)
    _check(names, days, row, column, where)
    shape = (days.shape[0], len(names))
    values = _spread_out(table, VALUE, row, column, shape, where)
    spend = None
    if SPEND in table.column_names:
        spend = _spread_out(table, SPEND, row, column, shape, where)
    return Markets(names, days, values, spend, where)


def _spread_out(
    table: pa.Table,
    name: str,
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    shape: tuple[int, int],
    where: str,
) -> Floats:
    cells = pc.cast(table[name].combine_chunks(), pa.float64()).to_numpy(zero_copy_only=False)
    if not np.isfinite(cells).all():
        raise InputError(f"a {name} is not a finite number", where, "correct it")
    wide = np.empty(shape)
    wide[row, column] = cells
    return wide


def _check(
    names: tuple[str, ...],
    days: Days,
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    where: str,
) -> None:
    """Refuse what is not one row for each market and day."""
    seen = np.zeros((days.shape[0], len(names)), dtype=np.int64)
    np.add.at(seen, (row, column), 1)
    twice = np.argwhere(seen > 1)
    if twice.size:
        day, market = twice[0]
        raise InputError(
            f"{names[market]} has {seen[day, market]} rows of {days[day]}",
            where,
            "add them up, or drop what is doubled",
        )
    gaps = np.argwhere(seen == 0)
    if gaps.size:
        day, market = gaps[0]
        raise InputError(
            f"{names[market]} has no row of {days[day]} ({gaps.shape[0]} such gaps in all)",
            where,
            "write 0 if nothing was sold there, or leave the market out with --without",
        )
    steps = np.diff(days).astype(np.int64)
    uneven = np.flatnonzero(steps != steps.min(initial=1 << 30))
    if uneven.size:
        raise InputError(
            f"no market has a row between {days[uneven[0]]} and {days[uneven[0] + 1]}",
            where,
            f"rows have to come {_step_words(days)}",
        )


def _step_words(days: Days) -> str:
    """Say at what distance the rows come."""
    steps = np.diff(days).astype(np.int64)
    if not steps.size or steps.min() == 1:
        return "daily"
    return f"every {steps.min()} days"
