"""What each unit did, as of now: of kept totals, so that a reading costs what came in since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

import duckdb
import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.errors import StoreFault
from liftwerk.events.known import is_known_by
from liftwerk.metrics.definition import MetricDefinition
from liftwerk.metrics.follow import Following
from liftwerk.metrics.formula import Sum
from liftwerk.metrics.kept import Folder
from liftwerk.metrics.read import matured, opened, plans_of
from liftwerk.metrics.units import MATURED, asked_columns, count_units, counted_by
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores


def per_unit_now(
    project: Project,
    stores: Stores,
    name: str,
    spine: pa.Table,
    metrics: Sequence[str],
    purpose: str,
    *,
    now: datetime,
    costs: Mapping[str, Decimal] | None = None,
) -> pa.Table:
    """Tell what each unit did until now, as `liftwerk.metrics.units.per_unit` does.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        What the totals are kept under.
    spine : pyarrow.Table
        As of `per_unit`; units are told apart by ``unit`` and ``time``, and their outcomes are
        their customers'.
    metrics : sequence of str
    purpose : str
    now : datetime
    costs : mapping of str to decimal.Decimal, optional

    Returns
    -------
    pyarrow.Table
        The same as of `per_unit`, to the last digit.
    """
    columns = asked_columns(project, metrics)
    counted = counted_by(project, columns.values())
    found = values_now(
        project, stores, name, spine, columns, counted, purpose, now=now, costs=costs or {}
    )
    table = spine
    for column in columns:
        table = table.append_column(column, found.column(column))
    return table.append_column(MATURED, matured(spine.column("time"), counted.values(), now))


def values_now(
    project: Project,
    stores: Stores,
    name: str,
    spine: pa.Table,
    columns: Mapping[str, Sum],
    counted: Mapping[str, MetricDefinition],
    purpose: str,
    *,
    now: datetime,
    costs: Mapping[str, Decimal],
) -> pa.Table:
    """Compute columns for each unit, of any definitions of metrics.

    Parameters
    ----------
    columns : mapping of str to Sum
        Column -> the metrics that it adds up.
    counted : mapping of str to MetricDefinition
        These metrics, with windows.
    project, stores, name, spine, purpose, now, costs : as of `per_unit_now`

    Returns
    -------
    pyarrow.Table
        One float64 column each, in the order of the spine's rows.

    Notes
    -----
    Totals are kept of all that the log holds. Where a file says that some of it is known later than
    now, or where nothing can be kept, units are counted afresh.
    """
    # A home that cannot be written, a full disk, or another process that takes too long.
    with (
        suppress(OSError, StoreFault, duckdb.IOException),
        Folder(stores, name).held() as folder,
        stores.tables.reading(),
    ):
        told = (project, stores, folder, spine, columns, counted, purpose, costs)
        following = Following(*told, adds_up=False)
        if is_known_by(stores, following.snapshot, now):
            following.step()
            return following.values()
    plans = plans_of(project, counted, "customers")
    with opened(project, stores, plans, purpose, AsOf(now)) as connection:
        return count_units(connection, plans, spine, columns, project.currency, "customer", costs)
