"""A declared mapping -> one SELECT: a column an event, each the event's JSON or null.

Text that has the form a property wants becomes that type; text that has not stays text, so that
admission refuses it and says why. Nothing is rounded and nothing guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from liftwerk.connectors.definition import (
    DECISION,
    Cell,
    ImportDefinition,
    ImportEvent,
    KnownAt,
    Moment,
)
from liftwerk.connectors.rows import Rows
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.engine import quoted, text
from liftwerk.events.ids import made_id_sql
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.schema import Schema

ROW = "_row"
"""Number of a row in the file, from 1; the header is not counted."""

UNMAPPED = "_unmapped"
"""Stands where a map has no entry: no property's type lets it through."""

_TRUE = ("1", "1.0", "true", "t", "yes", "y")
_FALSE = ("0", "0.0", "false", "f", "no", "n")


@dataclass(frozen=True)
class Mapped:
    """A compiled mapping.

    Attributes
    ----------
    sql : str
        Returns the row's number, then one column an event, in the declared order.
    columns : tuple of dict of str to str
        For each event: path in its JSON -> column of the file, to name who is to blame.
    maps : tuple of frozenset of str
        For each event: the paths that go through a map.
    """

    sql: str
    columns: tuple[dict[str, str], ...]
    maps: tuple[frozenset[str], ...]


def wanted_columns(definition: ImportDefinition) -> list[str]:
    """List the file's columns that a mapping reads, each once."""
    columns = [*definition.key, *definition.identifiers.values()]
    for event in definition.events:
        columns += _blame(definition, event).values()
        if event.when is not None:
            columns.append(event.when.column)
    return list(dict.fromkeys(columns))


def compile_mapping(
    schema: Schema,
    name: str,
    definition: ImportDefinition,
    rows: Rows,
    controls: Mapping[str, str],
) -> Mapped:
    """Compile an import.

    Parameters
    ----------
    schema : Schema
    name : str
        The import; part of every id.
    definition : ImportDefinition
    rows : Rows
        The file's rows.
    controls : mapping of str to str
        Placement -> its control action.

    Returns
    -------
    Mapped

    Raises
    ------
    UnknownName
        If a decision's placement is not declared.
    """
    bodies = [_event(schema, name, definition, event, controls) for event in definition.events]
    listed = ", ".join(f"{body} AS {quoted(f'_{place}')}" for place, body in enumerate(bodies))
    return Mapped(
        sql=f"SELECT {ROW}, {listed} FROM ({numbered(rows)})",
        columns=tuple(_blame(definition, event) for event in definition.events),
        maps=tuple(_through_maps(event) for event in definition.events),
    )


def numbered(rows: Rows) -> str:
    """Give rows their numbers."""
    return f"SELECT row_number() OVER () AS {ROW}, * FROM ({rows.sql})"


def _event(
    schema: Schema,
    name: str,
    definition: ImportDefinition,
    event: ImportEvent,
    controls: Mapping[str, str],
) -> str:
    kind = schema.types[event.event]
    identifiers = object_json(
        {namespace: quoted(column) for namespace, column in definition.identifiers.items()}
    )
    fields = {
        "name": text(event.event),
        "version": str(kind.definition.version),
        "id": _id(name, definition, event.event),
        "time": moment_json(event.time),
        "identifiers": identifiers,
    }
    known_at = known_at_json(event.time, event.known_at)
    if known_at is not None:
        fields["known_at"] = known_at
    if definition.consent is not None:
        fields["consent"] = _constant(msgspec.to_builtins(definition.consent))
    if event.answers is not None:
        fields["decision"] = _id(name, definition, event.answers)
    properties = {
        key: cell_json(cell, kind.definition.properties[key])
        for key, cell in event.properties.items()
    }
    if event.event == DECISION:
        properties.update(_decision(event, controls))
    fields["properties"] = object_json(properties)
    body = f"{object_json(fields)}::VARCHAR"
    if event.when is None:
        return body
    return f"CASE WHEN {_equals(event.when.column, event.when.equals)} THEN {body} END"


def _id(name: str, definition: ImportDefinition, event: str) -> str:
    return made_id_sql(
        text("import"), text(name), text(event), *(quoted(column) for column in definition.key)
    )


def _decision(event: ImportEvent, controls: Mapping[str, str]) -> dict[str, str]:
    if event.placement not in controls:
        hint = did_you_mean(str(event.placement), controls)
        raise UnknownName(f"no placement {event.placement!r}", "[placements]", hint)
    assert event.action is not None
    assert event.probability is not None
    action = _raw(event.action)
    if event.probability.value is not None:
        probability = _constant(event.probability.value.value)
    else:
        probability = _number(quoted(str(event.probability.column)))
    return {
        "placement": text(str(event.placement)),
        "stage": text("logged"),
        "control_action": text(controls[str(event.placement)]),
        "eligible": _constant(list(event.eligible)),
        "action": _marked(event.action, f"to_json({action})"),
        "probability": probability,
        "probabilities": _probabilities(event, action),
    }


def _probabilities(event: ImportEvent, action: str) -> str:
    """Fill in the actions that were not drawn, where the one that was leaves no doubt."""
    assert event.probability is not None
    eligible, value = event.eligible, event.probability.value
    if value is not None and value.exact * len(eligible) == 1:
        return _constant([value.value] * len(eligible))
    if len(eligible) != 2:
        return "NULL"
    drawn = f"try_cast({quoted(str(event.probability.column))} AS DOUBLE)"
    if value is not None:
        drawn = f"{value.value!r}::DOUBLE"
    first = f"{action} = {text(eligible[0])}"
    pair = f"CASE WHEN {first} THEN [{drawn}, 1 - {drawn}] ELSE [1 - {drawn}, {drawn}] END"
    return f"CASE WHEN {drawn} BETWEEN 0 AND 1 THEN {pair} END"


def cell_json(cell: Cell, definition: PropertyDefinition) -> str:
    """Write a cell as the JSON its property wants, or as the text it is."""
    return _marked(cell, typed_json(_raw(cell), definition.type))


def typed_json(raw: str, wanted: str) -> str:
    """Write a text as the JSON of a type, or as the text it is where it has not that form."""
    match wanted:
        case "integer":
            return _integer(raw)
        case "number":
            return _number(raw)
        case "boolean":
            return _boolean(raw)
        case "money":
            return f"to_json(trim({raw}))"
        case "time":
            return instant_json(raw)
        case "list":
            return f"coalesce(try_cast({raw} AS JSON), to_json({raw}))"
        case _:
            return f"to_json({raw})"


def _raw(cell: Cell) -> str:
    """Return a cell's text: the column's, what a map makes of it, or the one given value."""
    if cell.column is None:
        return text(str(cell.value))
    if cell.map is None:
        return quoted(cell.column)
    cases = " ".join(f"WHEN {text(said)} THEN {text(meant)}" for said, meant in cell.map.items())
    return f"(CASE {quoted(cell.column)} {cases} END)"


def _marked(cell: Cell, value: str) -> str:
    """Mark what a map doesn't know; an empty field stays null."""
    if cell.column is None or cell.map is None:
        return value
    known = ", ".join(text(said) for said in cell.map)
    column = quoted(cell.column)
    return (
        f"CASE WHEN {column} IS NOT NULL AND {column} NOT IN ({known})"
        f" THEN {_constant({UNMAPPED: True})} ELSE {value} END"
    )


def _integer(raw: str) -> str:
    # A cast alone would round 3.7 to 4.
    whole = rf"CASE WHEN regexp_full_match({raw}, '\s*[+-]?[0-9]+(\.0*)?\s*') THEN {raw} END"
    return f"coalesce(to_json(try_cast({whole} AS BIGINT)), to_json({raw}))"


def _number(raw: str) -> str:
    number = f"try_cast({raw} AS DOUBLE)"
    return f"coalesce(CASE WHEN isfinite({number}) THEN to_json({number}) END, to_json({raw}))"


def _boolean(raw: str) -> str:
    said = f"lower(trim({raw}))"
    return (
        f"CASE WHEN {said} IN ({', '.join(map(text, _TRUE))}) THEN to_json(true)"
        f" WHEN {said} IN ({', '.join(map(text, _FALSE))}) THEN to_json(false)"
        f" ELSE to_json({raw}) END"
    )


def instant_json(raw: str) -> str:
    """Read a time; one without a zone is in the connection's, which is the project's."""
    at = f"try_cast({raw} AS TIMESTAMPTZ)"
    return f"coalesce(to_json({_written(at)}), to_json({raw}))"


def _written(at: str) -> str:
    spelled = f"strftime({at} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    return f"CASE WHEN isfinite({at}) THEN {spelled} END"


def moment_json(moment: Moment) -> str:
    """Write when something happened."""
    if moment.at is not None:
        return text(_iso(moment.at))
    return instant_json(quoted(str(moment.column)))


def known_at_json(time: Moment, known_at: KnownAt) -> str | None:
    """Write when it was known; None where that is when it happened."""
    if known_at.column is not None:
        return instant_json(quoted(known_at.column))
    delay = known_at.delay
    if delay.microseconds == 0:
        return None
    if time.at is not None:
        return text(_iso(time.at + delay.timedelta))
    at = f"try_cast({quoted(str(time.column))} AS TIMESTAMPTZ)"
    return f"to_json({_written(f'({at} + to_microseconds({delay.microseconds}))')})"


def _equals(column: str, wanted: str) -> str:
    """Compare as text, and numbers as numbers: 1 is written 1.0 by some exports."""
    same = f"{quoted(column)} = {text(wanted)}"
    try:
        number = float(wanted)
    except ValueError:
        return same
    return f"({same} OR try_cast({quoted(column)} AS DOUBLE) = {number!r})"


def _blame(definition: ImportDefinition, event: ImportEvent) -> dict[str, str]:
    """Say which column each path of an event's JSON comes from."""
    blame = {"$.id": definition.key[0]}
    identifiers = list(definition.identifiers.values())
    blame["$.identifiers"] = identifiers[0]
    for namespace, column in definition.identifiers.items():
        blame[f"$.identifiers.{namespace}"] = column
    if event.time.column is not None:
        blame["$.time"] = event.time.column
    if event.known_at.column is not None:
        blame["$.known_at"] = event.known_at.column
    cells = dict(event.properties)
    if event.action is not None:
        cells["action"] = event.action
    for key, cell in cells.items():
        if cell.column is not None:
            blame[f"$.properties.{key}"] = cell.column
    if event.probability is not None and event.probability.column is not None:
        blame["$.properties.probability"] = event.probability.column
    return blame


def _through_maps(event: ImportEvent) -> frozenset[str]:
    cells = dict(event.properties)
    if event.action is not None:
        cells["action"] = event.action
    return frozenset(f"$.properties.{key}" for key, cell in cells.items() if cell.map is not None)


def object_json(fields: Mapping[str, str]) -> str:
    """Write an object of fields that are JSON already."""
    listed = ", ".join(f"{text(key)}, {value}" for key, value in fields.items())
    return f"json_object({listed})"


def _constant(value: object) -> str:
    return f"{text(msgspec.json.encode(value).decode())}::JSON"


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
