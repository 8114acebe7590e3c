"""A definition becomes SQL: one statement for all features of one event, in named steps.

    _asked    the spine: one row a question, with its as-of time
    _history  every event that a row was allowed to know: it happened before the as-of time, and it
              was known by then
    _valued   one exact state a feature and row (whole numbers; floats are made by one finaliser)

All times are microseconds since 1970 in UTC. A feature with a window W and a hop H looks at event
times in [floor_H(as-of - W), as-of): the tail is exact, the head is rounded down to a hop, so that
tiles of length H can hold it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from liftwerk.events.definition import EventDefinition
from liftwerk.events.engine import quoted
from liftwerk.events.properties import PropertyDefinition
from liftwerk.events.scan import SUPERSEDED_AT
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.kinds import AGGREGATES, Aggregate
from liftwerk.features.kinds.aggregate import DAY, WEIGHT_SCALE, Operand
from liftwerk.money import exponent

DEFAULT_HOP = DAY
"""The step of a window's head where the feature names none, in microseconds."""


class Value(Struct, frozen=True):
    """How one column of a plan's result becomes a feature.

    Attributes
    ----------
    name : str
        The feature, and the column.
    aggregate : Aggregate
        How its events became one state.
    operand : Operand
        The property it reads.
    """

    name: str
    aggregate: Aggregate
    operand: Operand


class Plan(Struct, frozen=True):
    """The SQL for all features of one event; ``print(plan.sql)`` shows its steps.

    Attributes
    ----------
    event : str
        The event it reads.
    properties : tuple of str
        The event's properties it reads.
    money : tuple of str
        Those of them that are money.
    values : tuple of Value
        The columns it returns, beside ``_row``.
    sql : str
        Reads the relations ``_spine`` (``_row``, ``customer``, ``time``) and the event's.
    """

    event: str
    properties: tuple[str, ...]
    money: tuple[str, ...]
    values: tuple[Value, ...]
    sql: str


def compile_features(
    features: Mapping[str, FeatureDefinition],
    events: Mapping[str, EventDefinition],
    currency: str,
) -> list[Plan]:
    """Compile definitions to one plan an event.

    Parameters
    ----------
    features : mapping of str to FeatureDefinition
        What is asked for.
    events : mapping of str to EventDefinition
        The events they read.
    currency : str
        The project's currency.

    Returns
    -------
    list of Plan
        In the order in which the events are first named.

    Examples
    --------
    >>> orders = FeatureDefinition(entity="customer", from_="order", aggregate="count")
    >>> plan = compile_features({"orders": orders}, {"order": EventDefinition(1, "")}, "EUR")[0]
    >>> print(plan.sql)
    WITH _asked AS (
      SELECT _row, customer, epoch_us(time) AS as_of
      FROM _spine
    ),
    _history AS (
      SELECT _asked._row, _asked.as_of, known.time, known."offset", known.weight
      FROM _asked JOIN (
        SELECT customer, epoch_us(time) AS time, epoch_us(known_at) AS known_at, "offset",
          CAST(round(weight * 1000000) AS BIGINT) AS weight
        FROM "order"
        WHERE NOT synthetic
      ) AS known ON known.customer = _asked.customer
      WHERE known.time < _asked.as_of
        AND known.known_at <= _asked.as_of
    ),
    _valued AS (
      SELECT _row,
        sum(weight) FILTER (WHERE true) AS "orders"
      FROM _history
      GROUP BY _row
    )
    SELECT _asked._row, _valued.* EXCLUDE (_row)
    FROM _asked LEFT JOIN _valued ON _valued._row = _asked._row
    ORDER BY _asked._row
    """
    by_event: dict[str, dict[str, FeatureDefinition]] = {}
    for name, feature in features.items():
        by_event.setdefault(feature.from_, {})[name] = feature
    return [_plan(event, group, events[event], currency) for event, group in by_event.items()]


def operand_of(definition: PropertyDefinition | None, currency: str) -> Operand:
    """Describe a property to the aggregates."""
    if definition is None:
        return Operand()
    if definition.type == "money":
        return Operand("money", 10 ** exponent(currency))
    return Operand(definition.type)


def floor_sql(at: str, step: int) -> str:
    """Write "round down to a multiple of step" as SQL, right for times before 1970 too."""
    return f"({at} - (({at} % {step}) + {step}) % {step})"


def _plan(
    event: str,
    features: Mapping[str, FeatureDefinition],
    definition: EventDefinition,
    currency: str,
) -> Plan:
    properties: dict[str, PropertyDefinition] = {}
    values = []
    states = []
    for name, feature in features.items():
        aggregate = AGGREGATES[feature.aggregate]
        operand = Operand()
        column = ""
        if feature.property is not None:
            read = definition.properties[feature.property]
            properties[feature.property] = read
            operand = operand_of(read, currency)
            column = _carried(feature.property)
        values.append(Value(name, aggregate, operand))
        states.append(f"{aggregate.sql(operand, column, _kept(feature))} AS {quoted(name)}")
    return Plan(
        event=event,
        properties=tuple(properties),
        money=tuple(name for name, read in properties.items() if read.type == "money"),
        values=tuple(values),
        sql=_sql(
            event, list(properties), states, _limits(features, definition), bool(definition.unique)
        ),
    )


def _carried(property_: str) -> str:
    """Name a property among the steps' own columns, which it may not hide."""
    return quoted(f"properties.{property_}")


def _head(feature: FeatureDefinition) -> str | None:
    """Write where a feature's window begins; None where it looks at all that is known."""
    if feature.window is None:
        return None
    hop = DEFAULT_HOP
    if feature.hop is not None:
        hop = feature.hop.microseconds
    return floor_sql(f"(as_of - {feature.window.microseconds})", hop)


def _kept(feature: FeatureDefinition) -> str:
    head = _head(feature)
    if head is None:
        return "true"
    return f"time >= {head}"


def _limits(features: Mapping[str, FeatureDefinition], definition: EventDefinition) -> list[str]:
    """Write what an event must satisfy to be in a row's history."""
    limits = ["known.time < _asked.as_of", "known.known_at <= _asked.as_of"]
    if definition.unique:  # of several reports, the best of those known by then
        limits.append(f"coalesce(known.{SUPERSEDED_AT} > _asked.as_of, true)")
    heads = [_head(feature) for feature in features.values()]
    bounded = [head for head in heads if head is not None]
    if len(bounded) == len(heads):  # what no window reaches need not be joined
        limits.append(f"known.time >= least({', '.join(dict.fromkeys(bounded))})")
    return limits


def _sql(
    event: str,
    properties: list[str],
    states: list[str],
    limits: list[str],
    unique: bool,
) -> str:
    read = "".join(f", {quoted(name)}" for name in properties)
    if unique:
        read = f", epoch_us({SUPERSEDED_AT}) AS {SUPERSEDED_AT}{read}"
    conditions = "\n    AND ".join(limits)
    columns = ",\n    ".join(states)
    carried = "".join(f", known.{quoted(name)} AS {_carried(name)}" for name in properties)
    return f"""\
WITH _asked AS (
  SELECT _row, customer, epoch_us(time) AS as_of
  FROM _spine
),
_history AS (
  SELECT _asked._row, _asked.as_of, known.time, known."offset", known.weight{carried}
  FROM _asked JOIN (
    SELECT customer, epoch_us(time) AS time, epoch_us(known_at) AS known_at, "offset",
      CAST(round(weight * {WEIGHT_SCALE}) AS BIGINT) AS weight{read}
    FROM {quoted(event)}
    WHERE NOT synthetic
  ) AS known ON known.customer = _asked.customer
  WHERE {conditions}
),
_valued AS (
  SELECT _row,
    {columns}
  FROM _history
  GROUP BY _row
)
SELECT _asked._row, _valued.* EXCLUDE (_row)
FROM _asked LEFT JOIN _valued ON _valued._row = _asked._row
ORDER BY _asked._row"""
