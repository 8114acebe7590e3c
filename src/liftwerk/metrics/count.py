"""What each decision earned: visits, orders, spend and margin within their windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import duckdb
import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.metrics.compile import Plan
from liftwerk.metrics.definition import METRICS
from liftwerk.metrics.formula import Sum
from liftwerk.metrics.read import demand_countable, matured, opened, plans_of, states_by_row
from liftwerk.metrics.reckon import dictionary, reckoned, weighted
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

MATURE = "mature"
"""The column that says whether a decision may be learned from."""


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
    for name, metric in definitions.items():
        demand_countable(name, metric)
    plans = plans_of(project, definitions, "decisions")
    with opened(project, stores, plans, purpose, AsOf(now, offset)) as connection:
        counted = count_decisions(connection, plans, spine, project.currency, costs or {})
    table = spine
    for name in definitions:
        table = table.append_column(name, counted.column(name))
    return table.append_column(MATURE, matured(spine.column("time"), definitions.values(), now))


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
    states = states_by_row(
        connection, plans, spine.select(["decision", "customer", "time"]), currency
    )
    actions = dictionary(spine.column("action"))
    columns = {}
    for counted in (one for plan in plans for one in plan.counted):
        how = weighted(Sum({counted.name: Fraction(1)}), {counted.name: counted})
        columns[counted.name] = pa.array(reckoned(how, states, actions, costs))
    return pa.table(columns)
