"""Feature values as of a time: what was known then, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from liftwerk.errors import Refused
from liftwerk.events.engine import quoted
from liftwerk.features.compile import Plan
from liftwerk.features.finalise import divide


def values_as_of(
    connection: duckdb.DuckDBPyConnection, plans: Sequence[Plan], spine: pa.Table, currency: str
) -> pa.Table:
    """Compute every feature of some plans for each row of a spine.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has a relation for each plan's event, already narrowed to what may be read.
    plans : sequence of Plan
        From `liftwerk.features.compile.compile_features`.
    spine : pyarrow.Table
        ``customer`` (binary) and ``time`` (timestamp in UTC): one row a question.
    currency : str
        The project's currency.

    Returns
    -------
    pyarrow.Table
        One column a feature, in the order of the spine's rows. Money, sums, counts and days are
        float64; what is unknown is null.

    Raises
    ------
    Refused
        If money in another currency would have to be mixed in.
    """
    asked = pa.table(
        {
            "_row": pa.array(range(spine.num_rows), pa.int64()),
            "customer": spine.column("customer"),
            "time": spine.column("time"),
        }
    )
    columns: dict[str, pa.ChunkedArray] = {}
    connection.register("_spine", asked)
    try:
        for plan in plans:
            _check_currency(connection, plan, currency)
            states = connection.sql(plan.sql).to_arrow_table()
            for value in plan.values:
                state = states.column(value.name)
                divisor = value.aggregate.divisor(value.operand)
                if divisor is not None:
                    state = divide(state, divisor, value.aggregate.empty)
                columns[value.name] = state
    finally:
        connection.unregister("_spine")
    return pa.table(columns)


def _check_currency(connection: duckdb.DuckDBPyConnection, plan: Plan, currency: str) -> None:
    """Refuse to mix currencies: an amount in another one is no number of this one."""
    for name in plan.money:
        column, unit = quoted(name), quoted(f"{name}_currency")
        ((count, other),) = connection.execute(
            f"SELECT count(*), min({unit}) FROM {quoted(plan.event)} "
            f"WHERE {column} IS NOT NULL AND {unit} <> ?",
            [currency],
        ).fetchall()
        if count > 0:
            raise Refused(
                f"{count} amounts in {other}, and the project counts in {currency}",
                f"{plan.event}.{name}",
                "convert them before they are imported",
            )
