"""Rows of any version, read as the current one: the columns of a scan, in SQL."""

from __future__ import annotations

from collections.abc import Collection

from liftwerk.events.columns import columns_of
from liftwerk.events.earlier import AS_IT_IS, Default, EarlierVersion
from liftwerk.events.engine import quoted, text
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.schema import EventType, Schema
from liftwerk.money import Money


def read_columns(schema: Schema, kind: EventType, present: Collection[str]) -> str:
    """Write the columns of the current version over a table of any version.

    Parameters
    ----------
    schema : Schema
    kind : EventType
        The version that the table holds.
    present : collection of str
        Names of the columns that the table has; the others are null.

    Returns
    -------
    str
        The list of a SELECT. The columns are the declared ones, whatever the table holds.
    """
    current = schema.types[kind.name]
    columns = columns_of(schema, current)
    found = {column.name: quoted(column.name) for column in columns if column.name in present}
    if kind.earlier is not None:
        for name, definition in current.definition.properties.items():
            found.update(_filled(name, definition, kind.earlier, present, schema.currency))
    return ", ".join(
        f"({found.get(column.name, 'NULL')})::{column.type} AS {quoted(column.name)}"
        for column in columns
    )


def _filled(
    name: str,
    definition: PropertyDefinition,
    earlier: EarlierVersion,
    present: Collection[str],
    currency: str,
) -> dict[str, str]:
    """Write how a property, and a money's currency, is filled from an older row."""
    reading = earlier.read.get(name, AS_IT_IS)
    source = earlier.source_of(name)
    value = "NULL"
    if source in present:
        value = quoted(str(source))
    if reading.times is not None and definition.type == "integer":
        # One value that leaves 64 bits must not make the others unreadable.
        value = f"TRY({value} * {int(reading.times)})"
    elif reading.times is not None:
        value = f"{value} * {reading.times:f}::DOUBLE"
    if reading.default is not None:
        value = f"coalesce({value}, {_literal(reading.default, definition, currency)})"
    filled = {name: value}
    if definition.type == "money":
        said = "NULL"
        if f"{source}_currency" in present:
            said = quoted(f"{source}_currency")
        unit = f"coalesce({said}, {text(currency)})"
        filled[f"{name}_currency"] = f"CASE WHEN {value} IS NOT NULL THEN {unit} END"
    return filled


def _literal(value: Default, definition: PropertyDefinition, currency: str) -> str:
    """Write a default as its column's value."""
    match definition.type:
        case "money":
            return str(Money.parse(str(value), currency).minor)
        case "time":
            return f"TIMESTAMPTZ {text(str(value))}"
        case "string":
            return text(str(value))
        case _:
            return str(value)
