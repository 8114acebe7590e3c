"""The first steps of every plan: an event's rows, with what they are worth.

    _told     the event, as told by sources whose word counts; times in microseconds
    _items    the items of its list
    _beside   what entities were like at its time
    _outcomes values and conditions

Steps that have nothing to do are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from liftwerk.events.definition import EventDefinition
from liftwerk.events.engine import quoted, text
from liftwerk.events.entities.definition import EntityDefinition
from liftwerk.features.condition import columns_of_event, parse_condition
from liftwerk.features.filter import condition_ibis
from liftwerk.features.kinds.aggregate import WEIGHT_SCALE, Operand
from liftwerk.features.rows import COLUMN_TYPES, operand_of, text_of, whole
from liftwerk.lazy import LazyModule
from liftwerk.metrics.definition import MetricDefinition
from liftwerk.metrics.value import MONEY, keys_said, parse_value, unit_of, value_types, worth
from liftwerk.money import exponent

if TYPE_CHECKING:
    import ibis

    from liftwerk.features import written
else:
    ibis = LazyModule("ibis")
    written = LazyModule("liftwerk.features.written")


def carried(name: str) -> str:
    """Name a property among the steps' own columns, which it may not hide."""
    return f"properties.{name}"


def value_column(name: str, metric: MetricDefinition) -> str:
    """Name the column with what a metric sums."""
    if metric.property is not None:
        return carried(metric.property)
    return f"value.{name}"


def condition_column(name: str) -> str:
    """Name the column that says which rows a metric counts."""
    return f"where.{name}"


class Outcomes:
    """What the metrics of one event read of it, and the steps that make it.

    Parameters
    ----------
    event : str
    definition : EventDefinition
    metrics : mapping of str to MetricDefinition
        All of this event, and of the items of one list or of none.
    entities : mapping of str to EntityDefinition
        The declared ones.
    currency : str
        The project's.
    """

    def __init__(
        self,
        event: str,
        definition: EventDefinition,
        metrics: Mapping[str, MetricDefinition],
        entities: Mapping[str, EntityDefinition],
        currency: str,
    ) -> None:
        self.event = event
        self._metrics = metrics
        self._definition = definition
        self._declared = entities
        self._currency = currency
        self._unnest = next(iter(metrics.values())).unnest
        self._types = value_types(definition, self._unnest, entities)
        self._values = {
            name: parse_value(metric.value, self._types)
            for name, metric in metrics.items()
            if metric.value is not None
        }
        columns = columns_of_event(definition, currency, self._unnest)
        self._conditions = {
            name: parse_condition(metric.where, columns)
            for name, metric in metrics.items()
            if metric.where is not None
        }
        named = [metric.property for metric in metrics.values() if metric.property is not None]
        self._summed = tuple(dict.fromkeys(named))
        read = [name for one in self._values.values() for name in one.names]
        self._read = tuple(dict.fromkeys(read))
        self.entities = tuple(
            name for name in entities if any(one.startswith(f"{name}.") for one in self._read)
        )
        self.operands = dict(self._operands())

    @property
    def properties(self) -> tuple[str, ...]:
        """The event's own properties that are read."""
        asked = [*self._summed, *self._read]
        asked += [name for one in self._conditions.values() for name in one.names]
        for entity in self.entities:
            asked += self._keys(entity).values()
        if self._unnest is not None:
            asked.append(self._unnest)
        roots = dict.fromkeys(name.partition(".")[0] for name in asked)
        return tuple(name for name in roots if name in self._definition.properties)

    def steps(self, by: Mapping[str, str], trusted: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Write the steps.

        Parameters
        ----------
        by : mapping of str to str
            Columns besides ``customer`` that say whose an outcome is -> the SQL that reads them.
        trusted : sequence of str
            Whose word counts.

        Yields
        ------
        tuple of str
            Name, and SQL.
        """
        if not self._values and not self._conditions and self._unnest is None:
            kept = {carried(name): name for name in self._summed}
            yield "_outcomes", self._told(by, trusted, kept)
            return
        names = [*self.properties, *self._envelope]
        yield "_told", self._told(by, trusted, {name: name for name in names})
        schema = {"customer": "binary", "time": "int64", "weight": "int64"}
        schema |= {name: _TYPES[name] for name in by}
        kinds = columns_of_event(self._definition, self._currency)
        schema |= {name: COLUMN_TYPES[kinds[name].type] for name in names if name in kinds}
        schema |= {name: "string" for name in names if name.startswith("context.")}
        table = "_told"
        if self._unnest is not None:
            yield "_items", self._items(table)
            inner = columns_of_event(self._definition, self._currency, self._unnest)
            own = [name for name in inner if name.partition(".")[0] == self._unnest]
            schema |= {name: COLUMN_TYPES[inner[name].type] for name in own}
            table = "_items"
        for entity in self.entities:
            step = f"_beside_{entity}"
            yield step, self._beside(table, entity)
            table = step
            for name in self._of(entity):
                schema[name] = COLUMN_TYPES[self._types[name]]
        yield "_outcomes", self._outcomes(ibis.table(schema, name=table), by)

    @property
    def _envelope(self) -> list[str]:
        """What is read of the envelope, and under its context."""
        named = dict.fromkeys(name for one in self._conditions.values() for name in one.names)
        items = f"{self._unnest}."
        return [
            name
            for name in named
            if name not in self._definition.properties
            and not name.startswith(items)
            and name != "session"
        ]

    def _told(self, by: Mapping[str, str], trusted: Sequence[str], kept: Mapping[str, str]) -> str:
        whose = "".join(f", {sql}" for sql in by.values())
        carried_on = ""
        for name, column in kept.items():
            written = quoted(column)
            if column.startswith("context."):
                written = text_of("duckdb", column)
            carried_on += f", {written} AS {quoted(name)}"
        words = ", ".join(map(text, trusted))
        return f"""\
  SELECT customer{whose}, epoch_us(time) AS time,
    CAST(round(weight * {WEIGHT_SCALE}) AS BIGINT) AS weight{carried_on}
  FROM {quoted(self.event)}
  WHERE trust IN ({words}) AND NOT synthetic AND NOT modelled"""

    def _items(self, table: str) -> str:
        assert self._unnest is not None
        items = quoted(self._unnest)
        of = self._definition.properties[self._unnest].of
        if not isinstance(of, dict):
            return f"  SELECT * REPLACE (unnest({items}) AS {items})\n  FROM {table}"
        fields = ", ".join(
            f"{items}.{quoted(field)} AS {quoted(f'{self._unnest}.{field}')}" for field in of
        )
        return (
            f"  SELECT * EXCLUDE ({items}), {fields}\n"
            f"  FROM (SELECT * REPLACE (unnest({items}) AS {items}) FROM {table})"
        )

    def _beside(self, table: str, entity: str) -> str:
        keys = " AND ".join(
            f"r.{quoted(column)} = e.{quoted(part)}" for part, column in self._keys(entity).items()
        )
        columns = ", ".join(
            f"e.{quoted(name.partition('.')[2])} AS {quoted(name)}" for name in self._of(entity)
        )
        return (
            f"  SELECT r.*, {columns}\n  FROM {table} AS r ASOF LEFT JOIN\n"
            f"    (SELECT *, epoch_us(valid_from) AS _since FROM {quoted(entity)}) AS e\n"
            f"    ON {keys} AND r.time >= e._since"
        )

    def _outcomes(self, table: ibis.Table, by: Iterable[str]) -> str:
        made = {name: table[name] for name in ("customer", *by, "time", "weight")}
        made |= {carried(name): table[name] for name in self._summed}

        def column(name: str) -> Any:
            if self._types[name] == "number":
                return whole(table[name], Operand("number"))
            return table[name]

        decimals = exponent(self._currency)
        for name, parsed in self._values.items():
            found = worth(parsed, self._types, decimals, column, _choose)
            made[f"value.{name}"] = found.at(found.scale)
        for name, condition in self._conditions.items():
            holds = condition_ibis(condition, table)
            made[condition_column(name)] = ibis.coalesce(holds, ibis.literal(False))
        sql = written.sql_of(table.select(**made), "duckdb")
        return "\n".join(f"  {line}" for line in sql.splitlines())

    def _operands(self) -> Iterator[tuple[str, Operand]]:
        for name, metric in self._metrics.items():
            if metric.property is not None:
                kind = self._definition.properties[metric.property].type
                yield name, operand_of(kind, self._currency)
            elif name in self._values:
                found = unit_of(self._values[name], self._types, exponent(self._currency))
                # Whole numbers already: the scale says of what.
                yield name, Operand(MONEY, found.scale)

    def _keys(self, entity: str) -> dict[str, str]:
        said = keys_said(self._definition, self._unnest, self._declared[entity])
        assert said is not None  # the value's types name only such entities
        return said

    def _of(self, entity: str) -> list[str]:
        return [name for name in self._read if name.startswith(f"{entity}.")]


def _choose(how: str, *columns: Any) -> Any:
    typed = [ibis.literal(one, "int64") if isinstance(one, int) else one for one in columns]
    return getattr(ibis, how)(*typed)


_TYPES = {"decision": "binary", "session": "string", "_region": "string"}
