"""What each decision earned: visits, orders, spend and margin within their windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.definition import known_events
from liftwerk.features.finalise import largest, nearest, whole_numbers
from liftwerk.features.join import check_currency, exact_states
from liftwerk.identity.resolve import relations
from liftwerk.metrics.compile import Counted, Plan, compile_metrics
from liftwerk.metrics.definition import METRICS
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

MATURE = "mature"
"""The column that says whether a decision may be learned from."""

_ROOM = 2**62
"""Below this the machine's whole numbers cannot overflow."""


def per_decision(
    project: Project,
    stores: Stores,
    spine: pa.Table,
    metrics: Sequence[str],
    purpose: str,
    *,
    now: datetime,
    costs: Mapping[str, Decimal] | None = None,
    offset: int | None = None,
) -> pa.Table:
    """Count what happened after each decision, as far as it was known by now.

    Parameters
    ----------
    project : Project
        Declares the metrics.
    stores : Stores
        Where the events are.
    spine : pyarrow.Table
        One row a decision: ``decision`` (binary, its id), ``customer`` (binary), ``time``
        (timestamp in UTC), ``action`` (string). Further columns are kept.
    metrics : sequence of str
        Which metrics.
    purpose : str
        What the outcomes are read for.
    now : datetime
        Outcomes known later are left out, and a decision is mature by this time or not.
    costs : mapping of str to decimal.Decimal, optional
        Action -> what doing it once costs, for metrics that take it off.
    offset : int, optional
        Only outcomes up to this offset of the log.

    Returns
    -------
    pyarrow.Table
        The spine, in its order, with a float64 column a metric and ``mature``: whether every one of
        the metrics has had its whole maturity since the decision. An immature row's figures may
        still grow: learn from mature rows only.

    Raises
    ------
    UnknownName
        If a metric, the purpose or an action's cost is not declared.
    Refused
        If money in another currency would have to be mixed in.
    """
    definitions = {name: project.lookup(METRICS, name) for name in metrics}
    plans = compile_metrics(definitions, known_events(project), project.currency)
    names = [plan.event for plan in plans]
    with relations(project, stores, purpose, AsOf(now, offset), names) as connection:
        counted = count_decisions(connection, plans, spine, project.currency, costs or {})
    table = spine
    for name in definitions:
        table = table.append_column(name, counted.column(name))
    longest = max((metric.matures.timedelta for metric in definitions.values()), default=None)
    latest = now.astimezone(UTC)
    if longest is not None:
        latest -= longest
    at = pa.scalar(latest, pa.timestamp("us", "UTC"))
    return table.append_column(MATURE, pc.less_equal(spine.column("time"), at))


def count_decisions(
    connection: duckdb.DuckDBPyConnection,
    plans: Sequence[Plan],
    spine: pa.Table,
    currency: str,
    costs: Mapping[str, Decimal],
) -> pa.Table:
    """Compute every metric of some plans for each decision of a spine.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has a relation for each plan's event, already narrowed to what may be read.
    plans : sequence of Plan
        From `liftwerk.metrics.compile.compile_metrics`.
    spine : pyarrow.Table
        ``decision`` (binary), ``customer`` (binary), ``time`` (timestamp in UTC) and ``action``.
    currency : str
        The project's currency.
    costs : mapping of str to decimal.Decimal
        Action -> what doing it once costs, in the project's currency.

    Returns
    -------
    pyarrow.Table
        One float64 column a metric, in the order of the spine's rows; 0 where nothing happened.

    Raises
    ------
    UnknownName
        If a metric takes off the cost of an action that has none declared.
    Refused
        If money in another currency would have to be mixed in.
    """
    rows = pa.array(range(spine.num_rows), pa.int64())
    asked = spine.select(["decision", "customer", "time"]).append_column("_row", rows)
    columns = {}
    connection.register("_spine", asked)
    try:
        for plan in plans:
            check_currency(connection, plan.event, plan.money, currency)
            states = exact_states(connection, plan.event, plan.sql)
            for counted in plan.counted:
                earned = _less_cost(states.column(counted.name), counted, spine, costs)
                columns[counted.name] = pa.array(earned)
    finally:
        connection.unregister("_spine")
    return pa.table(columns)


def _less_cost(
    states: pa.ChunkedArray, counted: Counted, spine: pa.Table, costs: Mapping[str, Decimal]
) -> NDArray[np.float64]:
    """Return state / divisor x factor - cost: whole numbers of one unit until one last division."""
    factor = counted.multiply / counted.divisor
    actions = pc.dictionary_encode(spine.column("action")).combine_chunks()
    charges = [Fraction(0) for _ in actions.dictionary]
    if counted.subtracts_cost:
        charges = [_cost(action, costs) for action in actions.dictionary.to_pylist()]
    unit = math.lcm(factor.denominator, *(charge.denominator for charge in charges))
    times = int(factor * unit)
    whole_charges = [int(charge * unit) for charge in charges]
    numerators = whole_numbers(states)
    if max(largest(numerators), 1) * times + max(whole_charges, default=0) >= _ROOM:
        numerators = numerators.astype(object)
    taken = np.array(whole_charges, dtype=numerators.dtype)[actions.indices.to_numpy()]
    return nearest(numerators * times - taken, unit)


def _cost(action: str, costs: Mapping[str, Decimal]) -> Fraction:
    if action not in costs:
        what = f"no cost of the action {action!r} is declared"
        raise UnknownName(what, "[actions]", did_you_mean(action, costs))
    return Fraction(costs[action])
