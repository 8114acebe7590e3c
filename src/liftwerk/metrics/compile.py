"""A metric becomes SQL: one statement for all metrics of one event, in named steps.

    _decided   the spine: one row a decision, with its time
    _outcomes  the event, as told by sources whose word counts
    _credited  (decision, outcome) pairs: an outcome that names the decision it answers is that
               decision's alone; any other is credited to every decision of the same customer whose
               window it is in
    _counted   one exact state a metric and decision (whole numbers)

An outcome is in the window when it happened later than the decision, and no later than ``within``
after it: (0, within].
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from msgspec import Struct

from liftwerk.events.definition import EventDefinition
from liftwerk.events.engine import quoted
from liftwerk.features.kinds.aggregate import NUMBER_SCALE, WEIGHT_SCALE, Operand
from liftwerk.features.rows import operand_of
from liftwerk.metrics.definition import MetricDefinition

TRUSTED = ("server", "import")
"""Whose word counts: a browser's key is public, and a forged order must teach nothing."""


class Counted(Struct, frozen=True):
    """How one column of a plan's result becomes a metric.

    Attributes
    ----------
    name : str
        The metric, and the column.
    divisor : int
        What the exact state is divided by.
    multiply : fractions.Fraction
        The declared factor.
    subtracts_cost : bool
        Whether the action's cost is taken off.
    """

    name: str
    divisor: int
    multiply: Fraction
    subtracts_cost: bool


class Plan(Struct, frozen=True):
    """The SQL for all metrics of one event; ``print(plan.sql)`` shows its steps.

    Attributes
    ----------
    event : str
        The event it counts.
    properties : tuple of str
        The event's properties it reads.
    money : tuple of str
        Those of them that are money.
    counted : tuple of Counted
        The columns it returns, beside ``_row``.
    sql : str
        Reads the relations ``_spine`` (``_row``, ``decision``, ``customer``, ``time``) and the
        event's.
    """

    event: str
    properties: tuple[str, ...]
    money: tuple[str, ...]
    counted: tuple[Counted, ...]
    sql: str


def compile_metrics(
    metrics: Mapping[str, MetricDefinition], events: Mapping[str, EventDefinition], currency: str
) -> list[Plan]:
    """Compile definitions to one plan an event.

    Parameters
    ----------
    metrics : mapping of str to MetricDefinition
        What is asked for.
    events : mapping of str to EventDefinition
        The events they count.
    currency : str
        The project's currency.

    Returns
    -------
    list of Plan
        In the order in which the events are first named.

    Examples
    --------
    >>> from liftwerk.definitions.typed import Duration
    >>> came = MetricDefinition("Came", "visit", "any", Duration("14d"))
    >>> print(compile_metrics({"came": came}, {"visit": EventDefinition(1, "")}, "EUR")[0].sql)
    WITH _decided AS (
      SELECT _row, decision, customer, epoch_us(time) AS decided_at
      FROM _spine
    ),
    _outcomes AS (
      SELECT decision, customer, epoch_us(time) AS time,
        CAST(round(weight * 1000000) AS BIGINT) AS weight
      FROM "visit"
      WHERE trust IN ('server', 'import') AND NOT synthetic AND NOT modelled
    ),
    _credited AS (
      SELECT d._row, d.decided_at, o.*
      FROM _decided AS d JOIN _outcomes AS o ON o.decision = d.decision
      WHERE o.time > d.decided_at AND o.time <= d.decided_at + 1209600000000
      UNION ALL
      SELECT d._row, d.decided_at, o.*
      FROM _decided AS d JOIN _outcomes AS o ON o.customer = d.customer
      WHERE o.decision IS NULL
        AND o.time > d.decided_at AND o.time <= d.decided_at + 1209600000000
    ),
    _counted AS (
      SELECT _row,
        CAST(count(*) FILTER (WHERE time <= decided_at + 1209600000000) > 0 AS BIGINT) AS "came"
      FROM _credited
      GROUP BY _row
    )
    SELECT _decided._row, _counted.* EXCLUDE (_row)
    FROM _decided LEFT JOIN _counted ON _counted._row = _decided._row
    ORDER BY _decided._row
    """
    by_event: dict[str, dict[str, MetricDefinition]] = {}
    for name, metric in metrics.items():
        by_event.setdefault(metric.from_, {})[name] = metric
    return [_plan(event, group, events[event], currency) for event, group in by_event.items()]


def _plan(
    event: str, metrics: Mapping[str, MetricDefinition], definition: EventDefinition, currency: str
) -> Plan:
    properties = tuple(
        dict.fromkeys(metric.property for metric in metrics.values() if metric.property is not None)
    )
    counted = []
    states = []
    for name, metric in metrics.items():
        operand = Operand()
        if metric.property is not None:
            operand = operand_of(definition.properties[metric.property].type, currency)
        factor = Fraction(1)
        if metric.multiply is not None:
            factor = metric.multiply.exact
        counted.append(
            Counted(name, _divisor(metric, operand), factor, metric.subtract is not None)
        )
        states.append(f"{_state(metric, operand)} AS {quoted(name)}")
    longest = max(metric.within.microseconds for metric in metrics.values())
    return Plan(
        event=event,
        properties=properties,
        money=tuple(name for name in properties if definition.properties[name].type == "money"),
        counted=tuple(counted),
        sql=_sql(event, properties, states, longest),
    )


def _divisor(metric: MetricDefinition, operand: Operand) -> int:
    if metric.aggregate == "any":
        return 1
    if metric.aggregate == "count":
        return WEIGHT_SCALE
    return WEIGHT_SCALE * operand.unit


def _state(metric: MetricDefinition, operand: Operand) -> str:
    within = f"time <= decided_at + {metric.within.microseconds}"
    if metric.aggregate == "any":
        return f"CAST(count(*) FILTER (WHERE {within}) > 0 AS BIGINT)"
    if metric.aggregate == "count":
        return f"sum(weight) FILTER (WHERE {within})"
    assert metric.property is not None  # the definition's check demands it
    value = _carried(metric.property)
    whole = f"CAST({value} AS HUGEINT)"
    if operand.type == "number":
        whole = f"CAST(round({value} * {NUMBER_SCALE}) AS HUGEINT)"
    return f"sum({whole} * weight) FILTER (WHERE {within})"


def _carried(property_: str) -> str:
    """Name a property among the steps' own columns, which it may not hide."""
    return quoted(f"properties.{property_}")


def _sql(event: str, properties: tuple[str, ...], states: list[str], longest: int) -> str:
    carried = "".join(f", {quoted(name)} AS {_carried(name)}" for name in properties)
    columns = ",\n    ".join(states)
    trusted = ", ".join(f"'{trust}'" for trust in TRUSTED)
    window = f"o.time > d.decided_at AND o.time <= d.decided_at + {longest}"
    return f"""\
WITH _decided AS (
  SELECT _row, decision, customer, epoch_us(time) AS decided_at
  FROM _spine
),
_outcomes AS (
  SELECT decision, customer, epoch_us(time) AS time,
    CAST(round(weight * {WEIGHT_SCALE}) AS BIGINT) AS weight{carried}
  FROM {quoted(event)}
  WHERE trust IN ({trusted}) AND NOT synthetic AND NOT modelled
),
_credited AS (
  SELECT d._row, d.decided_at, o.*
  FROM _decided AS d JOIN _outcomes AS o ON o.decision = d.decision
  WHERE {window}
  UNION ALL
  SELECT d._row, d.decided_at, o.*
  FROM _decided AS d JOIN _outcomes AS o ON o.customer = d.customer
  WHERE o.decision IS NULL
    AND {window}
),
_counted AS (
  SELECT _row,
    {columns}
  FROM _credited
  GROUP BY _row
)
SELECT _decided._row, _counted.* EXCLUDE (_row)
FROM _decided LEFT JOIN _counted ON _counted._row = _decided._row
ORDER BY _decided._row"""
