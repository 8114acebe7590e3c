"""Weeks, and who was known in them: what the holdout is counted by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray

from liftwerk.events.engine import quoted
from liftwerk.experiments.assign import held_out_many
from liftwerk.experiments.definition import GLOBAL_HOLDOUT
from liftwerk.metrics.definition import Goal

Flags: TypeAlias = NDArray[np.bool_]

DECISION = "decision_made"
HELD_OUT = f"coalesce(experiment = '{GLOBAL_HOLDOUT}', FALSE)"
"""How decisions for the held-out are logged."""

LIVE = """
draw IS NOT NULL AND NOT synthetic AND customer IS NOT NULL
AND (stage IS NULL OR stage NOT IN ('draft', 'shadow'))"""
"""Decisions that were made here and sent: those of another system knew nothing of the holdout."""

TOUCH_DAYS = 30
"""How long last click remembers."""


class Week(Struct, frozen=True):
    """A week from Monday in the project's time zone; ``end`` is no part of it."""

    start: datetime
    end: datetime


def whole_weeks(first: datetime, now: datetime, zone: ZoneInfo) -> Iterator[Week]:
    """Yield the weeks that are over, from that of a moment on.

    Examples
    --------
    >>> zone = ZoneInfo("Europe/Berlin")
    >>> first, now = datetime(2026, 3, 25, tzinfo=zone), datetime(2026, 4, 8, tzinfo=zone)
    >>> [str(week.end - week.start) for week in whole_weeks(first, now, zone)]
    ['7 days, 0:00:00', '7 days, 0:00:00']
    >>> week = next(whole_weeks(first, now, zone))
    >>> week.end.timestamp() - week.start.timestamp() == 167 * 3600  # clocks were put forward
    True
    """
    local = first.astimezone(zone)
    monday = local.date() - timedelta(days=local.weekday())
    while True:
        start, end = (
            datetime(day.year, day.month, day.day, tzinfo=zone)
            for day in (monday, monday + timedelta(days=7))
        )
        if end > now:
            return
        yield Week(start, end)
        monday += timedelta(days=7)


@dataclass(frozen=True)
class People:
    """Customers, in a fixed order.

    Parameters
    ----------
    customers : pyarrow.Array of binary
    held : (n,) bool array
        Who is held out.
    since : (n,) float array
        When each was first heard of, in seconds since 1970.
    mixed : int
        Left out: once decided for as held out, once not.
    """

    customers: pa.Array
    held: Flags
    since: NDArray[np.float64]
    mixed: int

    def __len__(self) -> int:
        return len(self.customers)

    def keep(self, rows: Flags) -> People:
        """Keep some of them."""
        kept = self.customers.filter(pa.array(rows))
        return People(kept, self.held[rows], self.since[rows], self.mixed)


def everybody(connection: duckdb.DuckDBPyConnection, goal: Goal) -> People:
    """List every customer that is known, and who of them is held out.

    The rule is the pure function of the salt and the customer's key. What live decisions were
    logged with comes first: a merge may have given a customer another key since.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has a relation for each event, narrowed to what may be read.
    goal : Goal
    """
    seen = [
        f"SELECT customer, min(time) AS since FROM {quoted(name)}"
        " WHERE customer IS NOT NULL AND NOT synthetic GROUP BY customer"
        for name in _events(connection)
    ]
    found = connection.sql(
        f"""
        WITH seen AS ({" UNION ALL ".join(seen)}),
        known AS (SELECT customer, min(since) AS since FROM seen GROUP BY customer),
        logged AS (
          SELECT customer, bool_or({HELD_OUT}) AS ever,
            bool_and({HELD_OUT}) AS always
          FROM {DECISION} WHERE {LIVE} GROUP BY customer
        )
        SELECT customer, epoch_us(since) / 1e6 AS since, ever, always
        FROM known LEFT JOIN logged USING (customer)
        ORDER BY customer
        """
    ).to_arrow_table()
    customers = found.column("customer").combine_chunks()
    by_rule = held_out_many(goal.salt, goal.holdout.exact, customers.to_pylist())
    decided = found.column("ever").is_valid().to_numpy()
    ever, always = (found.column(name).fill_null(False).to_numpy() for name in ("ever", "always"))
    held = np.where(decided, always, by_rule)
    mixed = ever != always
    since = found.column("since").to_numpy().astype(np.float64)
    everyone = People(customers, held, since, int(mixed.sum()))
    return everyone.keep(~mixed)


def first_decisions(
    connection: duckdb.DuckDBPyConnection, placement: str | None = None
) -> pa.Table:
    """Return when each customer was first decided for live, at a placement or at any."""
    where = "TRUE" if placement is None else "placement = $placement"
    told = {} if placement is None else {"placement": placement}
    return connection.sql(
        f"""
        SELECT customer, epoch_us(min(time)) / 1e6 AS since
        FROM {DECISION} WHERE {LIVE} AND {where} GROUP BY customer
        """,
        params=told,
    ).to_arrow_table()


def touches(connection: duckdb.DuckDBPyConnection, placement: str | None = None) -> pa.Table:
    """Return what last click counts: actions that were done, and events that name a campaign.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    placement : str, optional
        Only actions of this placement.
    """
    where = "TRUE" if placement is None else "placement = $placement"
    told = {} if placement is None else {"placement": placement}
    parts = [
        f"SELECT customer, time FROM {DECISION}"
        f" WHERE {LIVE} AND action <> control_action AND {where}"
    ]
    if placement is None:
        parts += [
            f"SELECT customer, time FROM {quoted(name)} WHERE customer IS NOT NULL"
            " AND json_extract(context, '$.campaign') IS NOT NULL"
            for name in _events(connection)
        ]
    return connection.sql(" UNION ALL ".join(parts), params=told).to_arrow_table()


def spent(connection: duckdb.DuckDBPyConnection, costs: Mapping[str, Decimal]) -> pa.Table:
    """Return what live decisions cost: ``customer``, ``time`` in seconds, ``cost`` in money."""
    priced = pa.table(
        {
            "action": pa.array(list(costs), pa.string()),
            "cost": pa.array([float(cost) for cost in costs.values()], pa.float64()),
        }
    )
    connection.register("_priced", priced)
    return connection.sql(
        f"""
        SELECT customer, epoch_us(time) / 1e6 AS time, cost
        FROM {DECISION} JOIN _priced USING (action) WHERE {LIVE} AND cost <> 0
        """
    ).to_arrow_table()


def _events(connection: duckdb.DuckDBPyConnection) -> list[str]:
    names = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
    return [name for name in names if not name.startswith("_")]
