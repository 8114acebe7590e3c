"""The first steps of every plan: the event as an engine holds it, and what features read of it."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from liftwerk.events.definition import EventDefinition
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.scan import SUPERSEDED_AT
from liftwerk.features.condition import columns_of_event, parse_condition
from liftwerk.features.definition import FeatureDefinition, operand_type
from liftwerk.features.entity import CONTEXT, KeyPart
from liftwerk.features.filter import condition_ibis
from liftwerk.features.kinds import AGGREGATES, Aggregate
from liftwerk.features.kinds.aggregate import (
    DAY,
    DECAY_BITS,
    NUMBER_SCALE,
    WEIGHT_SCALE,
    Operand,
    Rows,
    both,
)
from liftwerk.features.kinds.decayed_sum import steps as decay_steps
from liftwerk.features.kinds.sum import SUMMED
from liftwerk.features.steps import DIALECTS, Step
from liftwerk.lazy import LazyModule
from liftwerk.money import exponent

if TYPE_CHECKING:
    import ibis
else:
    ibis = LazyModule("ibis")

DEFAULT_HOP = DAY
"""The step of a window's head where the feature names none, in microseconds."""

WHOLE = "decimal(38, 0)"
"""Exact whole numbers in every engine."""

_KEY = 2**62
_EVENTS, _ITEMS = 2**50, 2**20
_PLACE = "_place"
_PART = 2.0**40
_ENVELOPE = {
    "customer": "binary",
    "visitor": "binary",
    "session": "string",
    "source": "string",
    "trust": "string",
    "context": "string",
    "modelled": "boolean",
}
COLUMN_TYPES = {
    "binary": "binary",
    "string": "string",
    "integer": "int64",
    "number": "float64",
    "boolean": "boolean",
    "money": "int64",
    "time": "timestamp('UTC')",
}
_MICROSECONDS = {"duckdb": "epoch_us({})", "pyspark": "unix_micros({})"}
_JSON = {"duckdb": "json_extract_string({}, '{}')", "pyspark": "get_json_object({}, '{}')"}
_QUOTE = {"duckdb": '"{}"', "pyspark": "`{}`"}


class Slot(Struct, frozen=True):
    """What is aggregated, whatever the window: features with equal slots share their states.

    Attributes
    ----------
    aggregate : str
        Its name.
    property : str or None
        What is aggregated.
    operand : Operand
        The same, as the aggregate sees it.
    where, when : str or None
        Which events count, and which of them a rate counts.
    hop : int
        Microseconds.
    halving : int
        Hops in a half-life; 0 where nothing decays.
    """

    aggregate: str
    property: str | None
    operand: Operand
    where: str | None
    when: str | None
    hop: int
    halving: int

    @builtins.property  # the field `property` hides the short name here
    def kind(self) -> Aggregate:
        """The aggregate."""
        return AGGREGATES[self.aggregate]


class Source(Struct, frozen=True):
    """What a plan reads.

    Attributes
    ----------
    event : str
        The event.
    definition : EventDefinition
        Its declaration.
    entity : str
        Whom or what a row is about.
    key : tuple of KeyPart
        What in a row says whom it is about.
    unnest : str or None
        The list whose items are the rows.
    slots : tuple of Slot
        What is aggregated.
    """

    event: str
    definition: EventDefinition
    entity: str
    key: tuple[KeyPart, ...]
    unnest: str | None
    slots: tuple[Slot, ...]

    @property
    def unique(self) -> bool:
        """Whether several reports of one event may be known."""
        return bool(self.definition.unique)

    @property
    def money(self) -> tuple[str, ...]:
        """The event's own properties that are aggregated and are money."""
        names = dict.fromkeys(slot.property for slot in self.slots)
        properties = self.definition.properties
        return tuple(
            name
            for name in names
            if name is not None and name in properties and properties[name].type == "money"
        )


def slot_of(feature: FeatureDefinition, definition: EventDefinition, currency: str) -> Slot:
    """Say what a feature aggregates."""
    assert feature.aggregate is not None
    operand = Operand()
    if feature.property is not None:
        type_ = operand_type(definition, feature.property, feature.unnest)
        operand = operand_of(type_ or "", currency)
    hop = DEFAULT_HOP
    if feature.hop is not None:
        hop = feature.hop.microseconds
    halving = 0
    if feature.half_life is not None:
        halving = feature.half_life.microseconds // hop
    return Slot(
        feature.aggregate, feature.property, operand, feature.where, feature.when, hop, halving
    )


def operand_of(type_: str, currency: str) -> Operand:
    """Describe a property to the aggregates."""
    if type_ == "money":
        return Operand("money", 10 ** exponent(currency))
    return Operand(type_)


def read_steps(source: Source, currency: str, by_time: bool) -> tuple[Step, Step]:
    """Make the steps ``_events`` and ``_rows`` of a plan.

    Parameters
    ----------
    source : Source
    currency : str
        The project's currency.
    by_time : bool
        Whether known times are read too.

    Returns
    -------
    events : Step
        The engine's own SQL: it alone knows how its tables hold times.
    rows : Step
        ``e0``, ``e1``, … (the entity), ``time``, ``known_at``, ``superseded_at`` (microseconds),
        ``weight`` (millionths), ``key``, ``v0``, … (values), ``p0``, … (products),
        ``w0``, … (the weight where there is a value) and ``c0``, …
        (conditions, never null), as `Columns` names them.
    """
    columns = Columns(source)
    known = columns_of_event(source.definition, currency, source.unnest)
    conditions = {text: parse_condition(text, known) for text in columns.conditions}
    named = {name for one in conditions.values() for name in one.names}
    events = _events(source, named, by_time)
    table = events.relation
    if source.unnest is not None:
        table = table.unnest(source.unnest, offset=_place_of(source))
    made: dict[str, Any] = {
        f"e{place}": _field(table, source, part.column) for place, part in enumerate(source.key)
    }
    for name in ("time", "known_at", "superseded_at", "weight"):
        if f"_{name}" in events.schema:
            made[name] = table[f"_{name}"]
    made["key"] = _key(table)
    for name, place in columns.values.items():
        operand = next(one.operand for one in source.slots if one.property == name)
        value = _value(table, source, name, operand)
        made[f"v{place}"] = value
        if operand.type in SUMMED:
            made[f"p{place}"] = whole(value, operand) * table["_weight"]
            if _may_be_missing(source.definition, name):
                # Once a row: a condition in every aggregate would be judged for every pair.
                made[f"w{place}"] = value.notnull().ifelse(table["_weight"], ibis.null("int64"))
    for text, place in columns.conditions.items():
        holds = condition_ibis(conditions[text], table)
        made[f"c{place}"] = ibis.coalesce(holds, ibis.literal(False))
    return events, Step.of("_rows", table.select(**made))


def _place_of(source: Source) -> str | None:
    """Name the column with an item's place in its list, where the order of items matters."""
    merges = {merge for slot in source.slots for merge in slot.kind.merges.values()}
    if merges & {"earliest", "latest"}:
        return _PLACE
    return None


def _key(table: ibis.Table) -> Any:
    """Order rows by time, then as the log has them, then as their list has them."""
    time = table["_time"].cast(WHOLE)
    if _PLACE not in table.columns:
        return time * _KEY + table["_offset"]
    return (time * _EVENTS + table["_offset"]) * _ITEMS + table[_PLACE]


def _may_be_missing(definition: EventDefinition, name: str) -> bool:
    """Say whether an event may be without a property: then, later, or in an older version."""
    read = definition.properties.get(name)
    if read is None or not read.required or read.retention is not None:
        return True
    return bool(definition.earlier)


def _value(table: ibis.Table, source: Source, name: str, operand: Operand) -> Any:
    """Return what is aggregated."""
    if operand.type == "time":
        return table[f"_us_{name}"]
    value = _field(table, source, name)
    if operand.type == "number":
        return value + 0.0  # one zero, not two
    return value


def _field(table: ibis.Table, source: Source, name: str) -> Any:
    """Return a column, or a field of the list's items."""
    if source.unnest is not None and name.startswith(f"{source.unnest}."):
        return table[source.unnest][name.rpartition(".")[2]]
    return table[name]


def whole(value: Any, operand: Operand) -> Any:
    """Return a column as exact whole numbers: a number in billionths."""
    if operand.type == "number":
        # In two parts, each below 2**53: what is beyond has no other exact way into a decimal.
        scaled = value * float(NUMBER_SCALE)
        high = (scaled / _PART).floor()
        low = (scaled - high.cast("float64") * _PART + 0.5).floor()
        return high.cast(WHOLE) * int(_PART) + low.cast(WHOLE)
    return value.cast(WHOLE)


class Columns:
    """Where the step ``rows`` holds values and conditions.

    Parameters
    ----------
    source : Source
    """

    def __init__(self, source: Source) -> None:
        values = dict.fromkeys(one.property for one in source.slots if one.property is not None)
        texts = [text for one in source.slots for text in (one.where, one.when) if text is not None]
        self.values: Mapping[str, int] = {name: place for place, name in enumerate(values)}
        self.conditions = {text: place for place, text in enumerate(dict.fromkeys(texts))}

    def of(
        self,
        slot: Slot,
        table: ibis.Table,
        kept: ibis.BooleanValue | None = None,
        decay: ibis.Value | None = None,
    ) -> Rows:
        """Show a slot its rows among those of a table.

        Parameters
        ----------
        slot : Slot
        table : ibis.Table
            Has the columns of ``rows``.
        kept : ibis.BooleanValue, optional
            Only these rows.
        decay : ibis.Value, optional
            What is left of each row.
        """
        where = self._condition(slot.where, table)
        if where is not None:
            kept = both(kept, where)
        value = product = told = None
        if slot.property is not None:
            place = self.values[slot.property]
            value = table[f"v{place}"]
            if f"p{place}" in table.columns:
                product, told = table[f"p{place}"], table["weight"]
            if f"w{place}" in table.columns:
                told = table[f"w{place}"]
        hit = self._condition(slot.when, table)
        known = (table["time"], table["key"], table["weight"])
        return Rows(kept, *known, value, product, told, hit, decay)

    def _condition(self, text: str | None, table: ibis.Table) -> ibis.BooleanValue | None:
        if text is None:
            return None
        return table[f"c{self.conditions[text]}"]


def decay_of(slot: Slot, age: ibis.Value) -> ibis.Value:
    """Write what is left after an age (microseconds, whole hops), in units of 2**-32."""
    table = ibis.array([ibis.literal(step, "int64") for step in decay_steps(slot.halving)])
    half_life = slot.halving * slot.hop
    halvings = ibis.least(age // half_life, DECAY_BITS + 1)
    return table[(age % half_life) // slot.hop] >> halvings


def age_name(slot: Slot) -> str:
    """Name the column with the age of a row in whole hops, and that of its tile."""
    return f"age_{slot.hop}"


def floor(at: ibis.Value, step: int) -> ibis.Value:
    """Round down to a multiple of a step, right for times before 1970 too."""
    return at - ((at % step) + step) % step


def _events(source: Source, conditions: AbstractSet[str], by_time: bool) -> Step:
    """Write how an engine's table becomes whole numbers; only names differ from then on."""
    properties = source.definition.properties
    known = {**_ENVELOPE, **{name: _column_type(one) for name, one in properties.items()}}
    read = {slot.property for slot in source.slots} | {source.unnest, *conditions}
    read |= {part.column for part in source.key}
    roots = {name.partition(".")[0] for name in read if name is not None}
    plain = {name: kind for name, kind in known.items() if name in roots - {"context"}}
    context = sorted(name for name in read if name is not None and name.startswith(CONTEXT))
    instants = {"_time": "time"}
    if by_time:
        instants["_known_at"] = "known_at"
    if by_time and source.unique:
        instants["_superseded_at"] = SUPERSEDED_AT
    aggregated = {slot.property for slot in source.slots if slot.operand.type == "time"}
    instants |= {f"_us_{name}": name for name in aggregated if name is not None}
    schema = {**dict.fromkeys(instants, "int64"), "_offset": "int64", "_weight": "int64", **plain}
    schema |= dict.fromkeys(context, "string")
    made = {
        dialect: _events_sql(dialect, source.event, instants, plain, context)
        for dialect in DIALECTS
    }
    return Step("_events", made, schema)


def _events_sql(
    dialect: str,
    event: str,
    instants: Mapping[str, str],
    plain: Mapping[str, str],
    context: Sequence[str],
) -> str:
    quote, microseconds = _QUOTE[dialect], _MICROSECONDS[dialect]
    columns = [
        f"{microseconds.format(quote.format(column))} AS {quote.format(name)}"
        for name, column in instants.items()
    ]
    columns += [
        f"{quote.format('offset')} AS {quote.format('_offset')}",
        f"CAST(round(weight * {WEIGHT_SCALE}) AS BIGINT) AS {quote.format('_weight')}",
        *map(quote.format, plain),
        *(f"{text_of(dialect, name)} AS {quote.format(name)}" for name in context),
    ]
    return f"SELECT {', '.join(columns)}\nFROM {quote.format(event)}\nWHERE NOT synthetic"


def text_of(dialect: str, name: str) -> str:
    """Write what stands under a name of the context, as text; null for a whole object or list."""
    path = "$." + ".".join(name.split(".")[1:])
    text = _JSON[dialect].format(_QUOTE[dialect].format("context"), path)
    return f"CASE WHEN left({text}, 1) NOT IN ('{{', '[') THEN {text} END"


def _column_type(definition: PropertyDefinition) -> str:
    if definition.type != "list":
        return COLUMN_TYPES[definition.type]
    if isinstance(definition.of, dict):
        fields = ", ".join(f"{key}: {COLUMN_TYPES[kind]}" for key, kind in definition.of.items())
        return f"array<struct<{fields}>>"
    return f"array<{COLUMN_TYPES[definition.of or 'string']}>"
