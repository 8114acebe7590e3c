"""What each unit of an experiment did within its window: the spine, with a column a metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.identity.resolve import MERGED
from liftwerk.metrics.compile import Asked, Plan
from liftwerk.metrics.definition import METRICS, MetricDefinition
from liftwerk.metrics.formula import Sum
from liftwerk.metrics.kinds import columns_of
from liftwerk.metrics.read import matured, opened, plans_of, states_by_row
from liftwerk.metrics.reckon import dictionary, reckoned, weighted
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

MATURED = "matured"
"""The column that says whether the whole window of every asked metric has passed."""

By: TypeAlias = Literal["customer", "session"]

ASKED: Mapping[By, Asked] = {"customer": "customers", "session": "sessions"}


def per_unit(
    project: Project,
    stores: Stores,
    spine: pa.Table,
    metrics: Sequence[str],
    purpose: str,
    *,
    now: datetime,
    by: By = "customer",
    costs: Mapping[str, Decimal] | None = None,
    offset: int | None = None,
) -> pa.Table:
    """Count what each unit did after it was assigned, as far as it was known by now.

    Parameters
    ----------
    project : Project
        Declares the metrics.
    stores : Stores
        Where the events are.
    spine : pyarrow.Table
        One row a unit: ``unit`` (binary), ``customer`` (binary), ``time`` (timestamp in UTC) and
        ``arm`` (string). Further columns are kept.
    metrics : sequence of str
        Which metrics.
    purpose : str
        What the outcomes are read for.
    now : datetime
        Outcomes known later are left out, and a unit is matured by this time or not.
    by : str
        Whose outcomes are a unit's: all of its ``customer``, or those that name the ``session``
        that the unit is.
    costs : mapping of str to decimal.Decimal, optional
        Arm -> what its action costs once, for metrics that take it off.
    offset : int, optional
        Only outcomes up to this offset of the log.

    Returns
    -------
    pyarrow.Table
        The spine, in its order, with a float64 column of each name that
        `liftwerk.metrics.kinds.columns_of` gives (a ratio has its numerator's and its
        denominator's), and ``matured``.

    Raises
    ------
    UnknownName
        If a metric, the purpose or an arm's cost is not declared.
    InputError
        If nobody has a number of a metric: it counts no events, or within no window.
    Refused
        If money in another currency would have to be mixed in.
    """
    columns = asked_columns(project, metrics)
    counted = counted_by(project, columns.values())
    plans = plans_of(project, counted, ASKED[by])
    with opened(project, stores, plans, purpose, AsOf(now, offset)) as connection:
        found = count_units(connection, plans, spine, columns, project.currency, by, costs or {})
    table = spine
    for name in columns:
        table = table.append_column(name, found.column(name))
    return table.append_column(MATURED, matured(spine.column("time"), counted.values(), now))


def asked_columns(project: Project, metrics: Sequence[str]) -> dict[str, Sum]:
    """Return the columns of some metrics, each once (`liftwerk.metrics.kinds.columns_of`)."""
    columns: dict[str, Sum] = {}
    for name in metrics:
        columns |= columns_of(project, name)
    return columns


def counted_by(project: Project, columns: Iterable[Sum]) -> dict[str, MetricDefinition]:
    """Return the metrics that count what some columns add up, each once."""
    names = dict.fromkeys(name for total in columns for name in total.names)
    return {name: project.get(METRICS)[name] for name in names}


def count_units(
    connection: duckdb.DuckDBPyConnection,
    plans: Sequence[Plan],
    spine: pa.Table,
    columns: Mapping[str, Sum],
    currency: str,
    by: By,
    costs: Mapping[str, Decimal],
) -> pa.Table:
    """Compute columns for each unit of a spine.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        From `liftwerk.metrics.read.opened`.
    plans : sequence of Plan
    spine : pyarrow.Table
        As `per_unit` has it.
    columns : mapping of str to Sum
        Column -> the metrics that it adds up.
    currency : str
        The project's currency.
    by : str
    costs : mapping of str to decimal.Decimal
        Arm -> what its action costs once.

    Returns
    -------
    pyarrow.Table
        One float64 column each, in the order of the spine's rows.
    """
    states = states_by_row(connection, plans, whose(connection, spine, by), currency)
    counted = {one.name: one for plan in plans for one in plan.counted}
    arms = dictionary(spine.column("arm"))
    values = {
        name: pa.array(reckoned(weighted(total, counted), states, arms, costs))
        for name, total in columns.items()
    }
    return pa.table(values)


def whose(connection: duckdb.DuckDBPyConnection, spine: pa.Table, by: By) -> pa.Table:
    """Return what plans join units by: the customer as known now, and the session."""
    customer = spine.column("customer")
    tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    if (MERGED,) in tables:
        merged = connection.sql(f"SELECT leaf, customer FROM {MERGED}").to_arrow_table()
        place = pc.index_in(customer, merged.column("leaf"))
        customer = pc.coalesce(merged.column("customer").take(place), customer)
    rows = {"customer": customer, "time": spine.column("time")}
    if by == "session":
        rows["session"] = spine.column("unit").cast(pa.string())
    return pa.table(rows)
