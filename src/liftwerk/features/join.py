"""The as-of join: feature values over relations that are already open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.errors import Refused
from liftwerk.events.engine import quoted
from liftwerk.features.compile import ROW, Plan, Value
from liftwerk.features.finalise import values_of


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
        The entities' columns and ``time`` (timestamp in UTC): one row a question.
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
    rows = pa.array(range(spine.num_rows), pa.int64())
    times = pc.cast(pc.cast(spine.column("time"), pa.timestamp("us", "UTC")), pa.int64())
    as_of = times.to_numpy()
    columns: dict[str, pa.ChunkedArray] = {}
    for plan in plans:
        check_currency(connection, plan.event, plan.source.money, currency)
        entity = {f"e{place}": spine.column(name) for place, name in enumerate(plan.source.entity)}
        connection.register("_spine", pa.table({ROW: rows, **entity, "as_of": times}))
        try:
            states = exact_states(connection, plan.event, plan.sql())
        finally:
            connection.unregister("_spine")
        for value in plan.values:
            columns[value.name] = finalised(value, states, as_of)
    return pa.table(columns)


def finalised(value: Value, states: pa.Table, as_of: NDArray[np.int64]) -> pa.ChunkedArray:
    """Make a feature's values of the exact states of a plan.

    Parameters
    ----------
    value : Value
        Says which.
    states : pyarrow.Table
        What the plan's statement gave, one row a question.
    as_of : int64 of shape (n,)
        The questions' times, in microseconds since 1970.
    """
    found = {name: states.column(column) for name, column in value.columns.items()}
    if value.ratio is not None:
        return values_of(value.ratio, found, as_of, value.slot.kind.empty)
    kept = found["value"]
    if value.slot.operand.type == "time":
        return pc.cast(pc.cast(kept, pa.int64()), pa.timestamp("us", "UTC"))
    return kept


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
