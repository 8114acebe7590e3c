"""Foreign money into the project's, at the rate that held then: whole numbers and decimals only."""

from __future__ import annotations

import duckdb
import pyarrow

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.engine import connect, quoted
from liftwerk.events.entities.join import join
from liftwerk.events.entities.schema import entity_of
from liftwerk.money import exponent
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores

_DECIMALS = 12


def convert(
    project: Project,
    stores: Stores,
    rows: pyarrow.Table,
    purpose: str,
    amount: str,
    currency: str,
    rates: str = "exchange_rate",
    rate: str = "rate",
    time: str = "time",
    known: str | None = None,
    as_of: AsOf = NOW,
) -> pyarrow.Table:
    """Convert amounts at the rate of their time.

    Parameters
    ----------
    project : Project
    stores : Stores
    rows : pyarrow.Table
        n rows.
    purpose : str
        A purpose that may read the rates.
    amount : str
        Column of whole minor units.
    currency : str
        Column of ISO 4217 codes.
    rates : str
        The entity with the rates; the currency alone is its key.
    rate : str
        Its property: how much of the project's currency one unit of the other is worth.
    time, known, as_of
        As of `liftwerk.events.entities.join.join`.

    Returns
    -------
    pyarrow.Table
        The rows, with ``AMOUNT_converted`` in the project's minor units, half a unit rounded away
        from zero; null where no rate was known. The project's own currency needs no rate. A rate
        counts with the digits it was written with, up to 15.

    Raises
    ------
    UnknownName, InputError
        As of `join`; also if the entity's key is not one property.
    """
    kind = entity_of(project, rates)
    if len(kind.definition.key) != 1:
        hint = "its key is the currency alone: to the project's currency"
        raise InputError(f"{rates!r} cannot convert", f"entities.{rates}.key", hint)
    on = {kind.definition.key[0]: currency}
    joined = join(project, stores, rows, rates, purpose, on, time, known, as_of)
    codes = sorted({code for code in rows.column(currency).to_pylist() if code is not None})
    units = pyarrow.table(
        {
            "code": pyarrow.array(codes, pyarrow.string()),
            "shift": pyarrow.array(
                [exponent(project.currency) - exponent(code) for code in codes], pyarrow.int32()
            ),
        }
    )
    connection = connect()
    connection.register("joined", joined)
    connection.register("units", units)
    held = quoted(f"{rates}_{rate}")
    # Through its shortest text: a rate is the decimal that was written, not its binary fraction.
    exact = f"CAST(CAST({held} AS VARCHAR) AS DECIMAL(28, {_DECIMALS}))"
    whole = f"({quoted(amount)}::HUGEINT * ({exact} * {10**_DECIMALS})::HUGEINT)"
    parts = f"(10::HUGEINT ** ({_DECIMALS} - shift))::HUGEINT"
    rounded = f"sign({whole}) * ((2 * abs({whole}) + {parts}) // (2 * {parts}))"
    kept = ", ".join(map(quoted, rows.column_names))
    try:
        return connection.sql(
            f"SELECT {kept}, CASE WHEN {quoted(currency)} = ? THEN {quoted(amount)}"
            f" ELSE ({rounded})::BIGINT END AS {quoted(f'{amount}_converted')}"
            f" FROM (SELECT row_number() OVER () AS _n, * FROM joined) LEFT JOIN units"
            f" ON code = {quoted(currency)} ORDER BY _n",
            params=[project.currency],
        ).to_arrow_table()
    except duckdb.Error as error:
        what = str(error).strip().partition("\n")[0]
        hint = "amounts are whole minor units; rates have at most 12 decimals"
        raise InputError(what, f"entities.{rates}", hint) from None
