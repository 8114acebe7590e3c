"""The as-of join: feature values over relations that are already open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.errors import InputError, Refused
from liftwerk.events.engine import quoted
from liftwerk.features.compile import ROW, Plan, Value
from liftwerk.features.finalise import values_of

KEY_TYPES = {
    "binary": pa.binary(),
    "string": pa.string(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}
"""What the columns of a key hold in a spine."""


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
        The columns of the entities' keys and ``time`` (timestamp in UTC): one row a question.
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
        key = {f"e{place}": spine.column(part.name) for place, part in enumerate(plan.source.key)}
        connection.register("_spine", pa.table({ROW: rows, **key, "as_of": times}))
        try:
            states = exact_states(connection, plan.event, plan.sql())
        finally:
            connection.unregister("_spine")
        for value in plan.values:
            columns[value.name] = finalised(value, states, as_of)
    return pa.table(columns)


def with_keys(spine: pa.Table, plans: Sequence[Plan]) -> pa.Table:
    """Return a spine whose columns of keys have the types that plans join by.

    Raises
    ------
    InputError
        If a column is missing, or holds something else.
    """
    parts = {part: plan.source.entity for plan in plans for part in plan.source.key}
    for part, entity in parts.items():
        if part.name not in spine.column_names:
            what = f"the rows do not say which {entity} they are about"
            hint = f"add a column {part.name!r}"
            raise InputError(what, "spine", hint)
        place = spine.column_names.index(part.name)
        wanted = KEY_TYPES[part.type]
        try:
            column = spine.column(place).cast(wanted)
        except pa.ArrowInvalid:
            what = f"{part.name!r} holds {spine.column(place).type}, and no {wanted}"
            raise InputError(what, "spine", "correct it") from None
        spine = spine.set_column(place, part.name, column)
    return spine


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
