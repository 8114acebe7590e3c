"""What each customer did in a stretch of time, as the numbers of a period need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Duration
from liftwerk.events.definition import known_events
from liftwerk.events.engine import quoted
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.entities.read import timelines
from liftwerk.events.properties import PropertyDefinition
from liftwerk.features.condition import Column, parse_condition
from liftwerk.features.filter import condition_ibis
from liftwerk.features.finalise import Whole
from liftwerk.features.join import check_currency, exact_states
from liftwerk.features.kinds.aggregate import NUMBER_SCALE
from liftwerk.features.rows import COLUMN_TYPES
from liftwerk.lazy import LazyModule
from liftwerk.metrics.compile import TRUSTED, Counted
from liftwerk.metrics.definition import METRICS, MetricDefinition
from liftwerk.metrics.formula import Sum
from liftwerk.metrics.outcomes import Outcomes, condition_column
from liftwerk.metrics.read import opened, plans_of, states_by_row
from liftwerk.metrics.reckon import dictionary, reckoned, states_of, weighted
from liftwerk.money import exponent
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

if TYPE_CHECKING:
    import ibis

    from liftwerk.features import written
else:
    ibis = LazyModule("ibis")
    written = LazyModule("liftwerk.features.written")

_TICK = timedelta(microseconds=1)
_STAMP = pa.timestamp("us", "UTC")


class Customers:
    """Customers in a stretch of time.

    Parameters
    ----------
    project : Project
    stores : Stores
    purpose : str
    as_of : AsOf
    start, end : datetime
        ``end`` is no part of it; whole seconds.
    """

    def __init__(
        self,
        project: Project,
        stores: Stores,
        purpose: str,
        as_of: AsOf,
        start: datetime,
        end: datetime,
    ) -> None:
        self.project = project
        self.stores = stores
        self.purpose = purpose
        self.as_of = as_of
        # In one zone without summer time, where a length is what lies between two moments.
        self.start = start.astimezone(UTC).replace(microsecond=0)
        self.end = end.astimezone(UTC).replace(microsecond=0)
        self.metrics: Mapping[str, MetricDefinition] = project.get(METRICS)
        self._counted: dict[str, Counted] = {}
        self._states: dict[str, tuple[pa.ChunkedArray, Whole]] = {}

    def total(self, of: Sum) -> Fraction:
        """Add up what all customers did, exactly; a constant counts once."""
        self._count(of.names)
        how = weighted(Sum(of.terms), self._counted)
        total = of.constant
        for name, factor in how.factors.items():
            # Python's own whole numbers: they have no end.
            total += factor * sum(map(int, self._states[name][1].tolist()))
        return total

    def values(self, sums: Mapping[str, Sum]) -> dict[str, NDArray[np.float64]]:
        """Return what each customer did who did anything of it."""
        names = list(dict.fromkeys(name for one in sums.values() for name in one.names))
        self._count(names)
        keys = [self._states[name][0].combine_chunks() for name in names]
        everybody = pc.unique(pa.concat_arrays(keys))
        states = {}
        for name, key in zip(names, keys, strict=True):
            own = self._states[name][1]
            states[name] = np.zeros(len(everybody), own.dtype)
            states[name][pc.index_in(key, everybody).to_numpy()] = own
        nothing = dictionary(pa.chunked_array([pa.repeat("", len(everybody))]))
        return {
            name: reckoned(weighted(Sum(of.terms), self._counted), states, nothing, {})
            for name, of in sums.items()
        }

    def _count(self, names: Iterable[str]) -> None:
        """Count metrics of each customer, those that are not counted yet."""
        length = Duration(f"{(self.end - self.start) // timedelta(seconds=1)}s")
        wanted = {
            name: structs.replace(self.metrics[name], within=length)
            for name in names
            if name not in self._states
        }
        if not wanted:
            return
        plans = plans_of(self.project, wanted, "everybody")
        # From the last moment before it, so that its first one counts and its end does not.
        asked = pa.table({"time": pa.array([self.start - _TICK], _STAMP)})
        asked_at = (self.start - _TICK - datetime.fromtimestamp(0, UTC)) // _TICK
        with opened(self.project, self.stores, plans, self.purpose, self.as_of) as connection:
            connection.register("_spine", asked)
            for plan in plans:
                check_currency(connection, plan.event, plan.money, self.project.currency)
                found = exact_states(connection, plan.event, plan.sql)
                times = np.full(found.num_rows, asked_at, np.int64)
                states = states_of(found, plan.counted, times)
                for one in plan.counted:
                    self._counted[one.name] = one
                    self._states[one.name] = (found.column("customer"), states[one.name])
            connection.unregister("_spine")


def newcomers(customers: Customers, name: str, per: str) -> NDArray[np.float64]:
    """Return what each new customer of a period brought, from their first event on."""
    project, metrics = customers.project, customers.metrics
    wanted = {"first": structs.replace(metrics[per], within=Duration("1us"))}
    (first,) = plans_of(project, wanted, "everybody")
    plans = plans_of(project, {name: metrics[name]}, "customers")
    given = (project, customers.stores, [first, *plans], customers.purpose, customers.as_of)
    with opened(*given) as connection:
        end = pa.table({"time": pa.array([customers.end - 2 * _TICK], _STAMP)})
        connection.register("_spine", end)
        found = exact_states(connection, first.event, first.sql)
        connection.unregister("_spine")
        times = pc.cast(pc.cast(found.column("first"), pa.int64()), _STAMP)
        is_new = pc.greater_equal(times, pa.scalar(customers.start, _STAMP))
        # One moment earlier, so that the first event itself counts.
        began = pc.subtract(times, pa.scalar(_TICK, pa.duration("us")))
        spine = pa.table({"customer": found.column("customer"), "time": began}).filter(is_new)
        states = states_by_row(connection, plans, spine, project.currency)
    (counted,) = plans[0].counted
    how = weighted(Sum({name: Fraction(1)}), {name: counted})
    nothing = dictionary(pa.chunked_array([pa.repeat("", spine.num_rows)]))
    return reckoned(how, states, nothing, {})


def lapsed(customers: Customers, name: str) -> tuple[int, int]:
    """Return how many of those active at the beginning lapsed in a period, and how many there were.

    Active is who had an event in the metric's ``within`` before; who then lets ``within`` pass
    without another, and that moment is in the period, lapsed.
    """
    project, metric = customers.project, customers.metrics[name]
    assert metric.from_ is not None
    assert metric.within is not None  # the definition's check demands both
    plans = plans_of(project, {name: metric}, "everybody")
    event = known_events(project)[metric.from_]
    outcomes = Outcomes(metric.from_, event, {name: metric}, {}, project.currency)
    steps = ", ".join(f"{step} AS (\n{sql}\n)" for step, sql in outcomes.steps({}, TRUSTED))
    counts = ""
    if metric.where is not None:
        counts = f" AND {quoted(condition_column(name))}"
    bounds = (customers.start, customers.end)
    start, end = (f"epoch_us(TIMESTAMPTZ '{at.isoformat()}')" for at in bounds)
    within = metric.within.microseconds
    sql = f"""
    WITH {steps}, _gaps AS (
      SELECT customer, time, lead(time) OVER (PARTITION BY customer ORDER BY time) AS next
      FROM _outcomes
      WHERE customer IS NOT NULL AND time >= {start} - {within} AND time < {end}{counts}
    ),
    _active AS (
      SELECT bool_or(time + {within} >= {start} AND time + {within} < {end}
        AND (next IS NULL OR next > time + {within})) AS is_lapsed
      FROM _gaps GROUP BY customer HAVING min(time) < {start}
    )
    SELECT count(*) FILTER (WHERE is_lapsed), count(*) FROM _active"""
    given = (project, customers.stores, plans, customers.purpose, customers.as_of)
    with opened(*given) as connection:
        ((left, active),) = connection.execute(sql).fetchall()
    return int(left), int(active)


def entity_total(
    project: Project,
    stores: Stores,
    name: str,
    purpose: str,
    as_of: AsOf,
    start: datetime,
    end: datetime,
) -> float:
    """Add up the rows of an entity that begin to hold in a period."""
    metric = project.get(METRICS)[name]
    entity = str(metric.from_)
    properties = project.get(ENTITIES)[entity].properties
    decimals = exponent(project.currency)
    scale, summed = 1, "count(*)"
    if metric.property is not None:
        kind = properties[metric.property].type
        scale = {"money": 10**decimals, "number": NUMBER_SCALE}.get(kind, 1)
        column = quoted(metric.property)
        if kind == "number":
            column = f"round({column} * {NUMBER_SCALE})"
        summed = f"coalesce(sum(CAST({column} AS HUGEINT)), 0)"
    with timelines(project, stores, purpose, [entity], as_of) as connection:
        relation = connection.sql(f"SELECT * FROM {quoted(entity)}")
        money = [
            key
            for key, one in properties.items()
            if one.type == "money" and f"{key}_currency" in relation.columns
        ]
        check_currency(connection, entity, money, project.currency)
        rows = quoted(entity)
        if metric.where is not None:
            rows = f"({_narrowed(entity, metric.where, properties, decimals)})"
        ((total,),) = connection.execute(
            f"SELECT {summed} FROM {rows} WHERE valid_from >= ? AND valid_from < ?",
            [start, end],
        ).fetchall()
    return int(total) / scale


def _narrowed(
    entity: str, where: str, properties: Mapping[str, PropertyDefinition], decimals: int
) -> str:
    """Write a SELECT of the rows of an entity for which a condition holds."""
    named = {
        name: Column(one.type, decimals * (one.type == "money"))
        for name, one in properties.items()
        if one.type != "list"
    }
    schema = {name: COLUMN_TYPES[one.type] for name, one in named.items()}
    table = ibis.table({**schema, "valid_from": "timestamp('UTC')"}, name=entity)
    holds = condition_ibis(parse_condition(where, named), table)
    return written.sql_of(table.filter(holds), "duckdb")
