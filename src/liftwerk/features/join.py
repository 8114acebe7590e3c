"""The as-of join: feature values over relations that are already open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
            check_currency(connection, plan.event, plan.money, currency)
            states = exact_states(connection, plan.event, plan.sql)
            for value in plan.values:
                state = states.column(value.name)
                divisor = value.aggregate.divisor(value.operand)
                if divisor is not None:
                    state = divide(state, divisor, value.aggregate.empty)
                columns[value.name] = state
    finally:
        connection.unregister("_spine")
    return pa.table(columns)


def exact_states(connection: duckdb.DuckDBPyConnection, event: str, sql: str) -> pa.Table:
    """Run a plan; a sum beyond 128 bits is refused and not rounded.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has the relations that the plan reads.
    event : str
        The event, for the message.
    sql : str
        The plan's.

    Returns
    -------
    pyarrow.Table
        Exact states.

    Raises
    ------
    Refused
        If a number is too large to be added up.
    """
    try:
        return connection.sql(sql).to_arrow_table()
    except (duckdb.ConversionException, duckdb.OutOfRangeException):
        what = "a number is too large to be added up exactly"
        hint = "declare a maximum for the property that is summed"
        raise Refused(what, f"events.{event}", hint) from None


def check_currency(
    connection: duckdb.DuckDBPyConnection, event: str, money: Iterable[str], currency: str
) -> None:
    """Refuse to mix currencies: an amount in another one is no number of this one.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has a relation for the event.
    event : str
        The event.
    money : iterable of str
        Its properties that are money.
    currency : str
        The project's currency.

    Raises
    ------
    Refused
        If an amount is in another currency.
    """
    for name in money:
        column, unit = quoted(name), quoted(f"{name}_currency")
        ((count, other),) = connection.execute(
            f"SELECT count(*), min({unit}) FROM {quoted(event)} "
            f"WHERE {column} IS NOT NULL AND {unit} <> ?",
            [currency],
        ).fetchall()
        if count > 0:
            raise Refused(
                f"{count} amounts in {other}, and the project counts in {currency}",
                f"{event}.{name}",
                "convert them before they are imported",
            )
