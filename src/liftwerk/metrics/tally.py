"""Units are counted in exact states: all of them, some anew, or only what came in since.

A state is a whole number, and those of disjoint events become one (`Counted.merge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing

import duckdb
import numpy as np
import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.events.engine import connect, quoted
from liftwerk.features.join import check_currency, exact_states
from liftwerk.metrics.changed import KEYS
from liftwerk.metrics.compile import Counted, Plan
from liftwerk.metrics.kept import Folder
from liftwerk.metrics.parted import Parted
from liftwerk.metrics.read import opened
from liftwerk.metrics.touched import all_leaves
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores

SLICE = 500_000
"""Units that are counted at one time, so that memory does not grow with them."""

_STATE = pa.decimal128(38, 0)


class Tally:
    """Counts units by some plans.

    Parameters
    ----------
    project : Project
    stores : Stores
    plans : sequence of Plan
        Of customers.
    purpose : str
    as_of : AsOf
        What is known of events.
    """

    def __init__(
        self, project: Project, stores: Stores, plans: Sequence[Plan], purpose: str, as_of: AsOf
    ) -> None:
        self.plans = plans
        self.counted: dict[str, Counted] = {one.name: one for plan in plans for one in plan.counted}
        self._project = project
        self._stores = stores
        self._purpose = purpose
        self._as_of = as_of

    @property
    def columns(self) -> list[str]:
        """What is kept of a unit."""
        return [*KEYS, *map(state_column, self.counted)]

    def opened(
        self, leaves: pa.Array | None = None, after_offset: int | None = None
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Open what the plans read."""
        # What was imported of entities stands behind the last event that there was by then.
        told = (self._project, self._stores, self.plans, self._purpose, self._as_of)
        return opened(*told, leaves, after_offset, NOW)

    def all(
        self, connection: duckdb.DuckDBPyConnection, units: pa.Table, folder: Folder
    ) -> Iterator[pa.Table]:
        """Count every unit, at one time so many as memory has room for.

        Parameters
        ----------
        connection : duckdb.DuckDBPyConnection
            From `opened`.
        units : pyarrow.Table
            Their keys (`liftwerk.metrics.changed.KEYS`).
        folder : Folder
            Has room for what memory has none for.

        Yields
        ------
        pyarrow.Table
            Some units' keys, and a state of each metric.
        """
        if units.num_rows <= SLICE:
            yield self._count(connection, units, self._whole(connection))
            return
        number = -(-units.num_rows // SLICE)
        with folder.aside() as path:
            currency = self._project.currency
            parted = Parted(connection, self.plans, units, currency, path, number)
            for part, rows in parted.spines():
                yield self._count(connection, rows, parted.statements(part))

    def again(self, units: pa.Table) -> pa.Table:
        """Count a few units anew, as `all` does."""
        told = (self._project, self._stores, units.column("customer"), self._as_of)
        with self.opened(leaves=all_leaves(*told)) as connection:
            return self._count(connection, units, self._whole(connection))

    def added(self, rows: pa.Table, offset: int) -> pa.Table:
        """Add what is behind an offset to what was counted up to it.

        Parameters
        ----------
        rows : pyarrow.Table
            Units' keys and states.
        offset : int
        """
        with self.opened(after_offset=offset) as connection:
            more = self._count(connection, rows.select(list(KEYS)), self._whole(connection))
        place = pa.array(np.arange(rows.num_rows))
        merged = []
        for one in self.counted.values():
            a, b = f"b.{quoted(state_column(one.name))}", f"m.{quoted(state_column(one.name))}"
            sql = f"{one.merge}({a}, {b})"
            if one.merge == "add":
                # Nothing stays nothing: it is written as no number at all.
                sql = f"CASE WHEN {a} IS NULL THEN {b} ELSE {a} + coalesce({b}, 0) END"
            merged.append(f"CAST({sql} AS DECIMAL(38, 0)) AS {quoted(state_column(one.name))}")
        keys = ", ".join(f"b.{name}" for name in KEYS)
        with closing(connect()) as local:
            local.register("_before", rows.append_column("_row", place))
            local.register("_more", more.append_column("_row", place))
            return (
                local.sql(
                    f"SELECT {', '.join([keys, *merged])}"
                    " FROM _before AS b JOIN _more AS m USING (_row) ORDER BY _row"
                )
                .to_arrow_table()
                .cast(more.schema)
            )

    def _whole(self, connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
        """Say plan by plan what counts units by all that was opened."""
        for plan in self.plans:
            check_currency(connection, plan.event, plan.money, self._project.currency)
            yield plan.sql

    def _count(
        self, connection: duckdb.DuckDBPyConnection, units: pa.Table, statements: Iterable[str]
    ) -> pa.Table:
        place = pa.array(np.arange(units.num_rows))
        asked = units.select(["customer", "time"]).append_column("_row", place)
        table = units
        connection.register("_spine", asked)
        try:
            for plan, sql in zip(self.plans, statements, strict=True):
                found = exact_states(connection, plan.event, sql)
                for one in plan.counted:
                    state = found.column(one.name).cast(_STATE)
                    table = table.append_column(state_column(one.name), state)
        finally:
            connection.unregister("_spine")
        return table


def state_column(name: str) -> str:
    """Name a metric's state among the keys, which it may not hide."""
    return f"state.{name}"
