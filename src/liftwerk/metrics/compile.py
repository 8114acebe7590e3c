"""A metric becomes SQL: one statement for all metrics of one event, in named steps.

    _asked     the spine: one row a decision or a unit, with its time
    _told      the event, as told by sources whose word counts
    _items     its list's items, where metrics count those
    _beside    what entities were like at its time, where metrics read it
    _outcomes  what each is worth, and which conditions hold of it
    _credited  (asked, outcome) pairs within the longest window
    _counted   one exact state a metric and row of the spine (whole numbers)

An outcome is in the window when it happened later than the decision, and no later than ``within``
after it: (0, within]. Whose it is depends on what is asked:

- of decisions, an outcome that names the decision it answers is that decision's alone; any other is
  credited to every decision of the same customer whose window it is in;
- of customers, every outcome of theirs counts, whichever decision it answers; of sessions those
  that name the session; of regions those whose event says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Literal, TypeAlias

from msgspec import Struct

from liftwerk.events.definition import EventDefinition
from liftwerk.events.engine import quoted
from liftwerk.events.entities.definition import EntityDefinition
from liftwerk.features.kinds.aggregate import NUMBER_SCALE, WEIGHT_SCALE, Operand
from liftwerk.metrics.definition import MetricDefinition
from liftwerk.metrics.outcomes import Outcomes, condition_column, value_column

TRUSTED = ("server", "import")
"""Whose word counts: a browser's key is public, and a forged order must teach nothing."""

Asked: TypeAlias = Literal["decisions", "customers", "sessions", "periods", "regions", "everybody"]
"""What a row of the spine is. In ``periods`` whatever happened counts, whosesoever it is, and of
``regions`` what happened in one; of ``everybody`` there is one row, and each customer is counted by
it."""


Merge: TypeAlias = Literal["add", "greatest", "least"]


class Counted(Struct, frozen=True):
    """How a column of a plan's result becomes a metric: ``constant + multiply x state / divisor``.

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
    constant : int
        What is added: 1 for what counts that nothing happened, of which the state says if it did.
    merge : str
        How states of disjoint events become one: ``add``, ``greatest`` or ``least``.
    within : int or None
        The state is a time in microseconds, and what counts is whether it lies so long after the
        row's own; None where the state itself counts.
    """

    name: str
    divisor: int
    multiply: Fraction
    subtracts_cost: bool
    constant: int = 0
    merge: Merge = "add"
    within: int | None = None


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
    entities : tuple of str
        The entities it reads.
    counted : tuple of Counted
        The columns it returns, beside ``_row``.
    sql : str
        Reads the relations ``_spine`` (``_row``, ``customer``, ``time``, and of decisions
        ``decision``, of sessions ``session``; of regions ``_row``, ``_region`` and ``time``), the
        event's, and those of the entities' timelines.
    outcomes, counting : str
        The same in two: what makes ``_outcomes``, without the spine; and what counts the rows of a
        relation of that name.
    longest : int
        How long after a row's time an outcome may count, in microseconds.
    """

    event: str
    properties: tuple[str, ...]
    money: tuple[str, ...]
    entities: tuple[str, ...]
    counted: tuple[Counted, ...]
    sql: str
    outcomes: str
    counting: str
    longest: int

    @property
    def reads_before(self) -> bool:
        """Whether it matters what happened before a row's time."""
        return any(one.within is not None for one in self.counted)


_BY: Mapping[Asked, Mapping[str, str]] = {
    "decisions": {"decision": "decision"},
    "sessions": {"session": "session"},
}
"""Columns besides ``customer`` that say whose an outcome is, and what reads them of an event."""


def compile_metrics(
    metrics: Mapping[str, MetricDefinition],
    events: Mapping[str, EventDefinition],
    currency: str,
    entities: Mapping[str, EntityDefinition] | None = None,
    asked: Asked = "decisions",
    region: str | None = None,
) -> list[Plan]:
    """Compile definitions to one plan an event.

    Parameters
    ----------
    metrics : mapping of str to MetricDefinition
        What is asked for: metrics that count events within a window.
    events : mapping of str to EventDefinition
        The events they count.
    currency : str
        The project's currency.
    entities : mapping of str to EntityDefinition, optional
        The declared ones.
    asked : str
        Of what.
    region : str, optional
        Of regions: the events' property that names one.

    Returns
    -------
    list of Plan
        In the order in which the events are first named. What is counted of a list's items has a
        plan of its own, and so has what depends on all that happened before.

    Examples
    --------
    >>> from liftwerk.definitions.typed import Duration
    >>> came = MetricDefinition("Came", "visit", "any", Duration("14d"))
    >>> print(compile_metrics({"came": came}, {"visit": EventDefinition(1, "")}, "EUR")[0].sql)
    WITH _asked AS (
      SELECT _row, customer, decision, epoch_us(time) AS asked_at
      FROM _spine
    ),
    _outcomes AS (
      SELECT customer, decision, epoch_us(time) AS time,
        CAST(round(weight * 1000000) AS BIGINT) AS weight
      FROM "visit"
      WHERE trust IN ('server', 'import') AND NOT synthetic AND NOT modelled
    ),
    _credited AS (
      SELECT d._row, d.asked_at, o.*
      FROM _asked AS d JOIN _outcomes AS o ON o.decision = d.decision
      WHERE o.time > d.asked_at AND o.time <= d.asked_at + 1209600000000
      UNION ALL
      SELECT d._row, d.asked_at, o.*
      FROM _asked AS d JOIN _outcomes AS o ON o.customer = d.customer
      WHERE o.decision IS NULL
        AND o.time > d.asked_at AND o.time <= d.asked_at + 1209600000000
    ),
    _counted AS (
      SELECT _row,
        CAST(count(*) FILTER (WHERE time <= asked_at + 1209600000000) > 0 AS BIGINT) AS "came"
      FROM _credited
      GROUP BY _row
    )
    SELECT _asked._row, _counted.* EXCLUDE (_row)
    FROM _asked LEFT JOIN _counted ON _counted._row = _asked._row
    ORDER BY _asked._row
    """
    groups: dict[tuple[str, str | None, bool], dict[str, MetricDefinition]] = {}
    for name, metric in metrics.items():
        assert metric.from_ is not None  # a caller resolves formulas first
        key = (metric.from_, metric.unnest, metric.aggregate == "new")
        groups.setdefault(key, {})[name] = metric
    by = _BY.get(asked, {})
    if region is not None:
        by = {"_region": f"CAST({quoted(region)} AS VARCHAR) AS _region"}
    return [
        _plan(event, group, events[event], currency, entities or {}, asked, by)
        for (event, _, _), group in groups.items()
    ]


def _plan(
    event: str,
    metrics: Mapping[str, MetricDefinition],
    definition: EventDefinition,
    currency: str,
    entities: Mapping[str, EntityDefinition],
    asked: Asked,
    by: Mapping[str, str],
) -> Plan:
    outcomes = Outcomes(event, definition, metrics, entities, currency)
    counted = []
    states = []
    for name, metric in metrics.items():
        operand = outcomes.operands.get(name, Operand())
        factor = Fraction(1)
        if metric.multiply is not None:
            factor = metric.multiply.exact
        constant = 0
        if metric.aggregate == "lapse":
            factor, constant = -factor, 1
        taken = metric.subtract is not None
        within = None
        if metric.aggregate == "new" and metric.within is not None:
            within = metric.within.microseconds
        merge = _MERGES.get(str(metric.aggregate), "add")
        divisor = _divisor(metric, operand)
        counted.append(Counted(name, divisor, factor, taken, constant, merge, within))
        states.append(f"{_state(name, metric, operand)} AS {quoted(name)}")
    properties = definition.properties
    steps = "".join(f"{name} AS (\n{sql}\n){_NEXT}" for name, sql in outcomes.steps(by, TRUSTED))
    return Plan(
        event=event,
        properties=outcomes.properties,
        money=tuple(name for name in outcomes.properties if properties[name].type == "money"),
        entities=outcomes.entities,
        counted=tuple(counted),
        sql=_sql(steps, metrics, states, asked, by),
        outcomes=f"WITH {steps.removesuffix(_NEXT)}\nSELECT * FROM _outcomes",
        counting=_sql("", metrics, states, asked, by),
        longest=_longest(metrics.values()),
    )


_NEXT = ",\n"
"""Between the steps of a statement."""

_MERGES: Mapping[str, Merge] = {"any": "greatest", "lapse": "greatest", "new": "least"}


def _divisor(metric: MetricDefinition, operand: Operand) -> int:
    if metric.aggregate == "sum":
        return WEIGHT_SCALE * operand.unit
    if metric.aggregate == "count":
        return WEIGHT_SCALE
    return 1


def _state(name: str, metric: MetricDefinition, operand: Operand) -> str:
    assert metric.within is not None  # what has no window is only read by period
    end = f"asked_at + {metric.within.microseconds}"
    counts = ""
    if metric.where is not None:
        counts = f" AND {quoted(condition_column(name))}"
    if metric.aggregate == "new":
        if not counts:
            return "min(time)"
        return f"min(time) FILTER (WHERE {quoted(condition_column(name))})"
    within = f"time <= {end}{counts}"
    if metric.aggregate in ("any", "lapse"):
        return f"CAST(count(*) FILTER (WHERE {within}) > 0 AS BIGINT)"
    if metric.aggregate == "count":
        return f"sum(weight) FILTER (WHERE {within})"
    value = quoted(value_column(name, metric))
    whole = f"CAST({value} AS HUGEINT)"
    if operand.type == "number":
        whole = f"CAST(round({value} * {NUMBER_SCALE}) AS HUGEINT)"
    return f"sum({whole} * weight) FILTER (WHERE {within})"


def _sql(
    steps: str,
    metrics: Mapping[str, MetricDefinition],
    states: Sequence[str],
    asked: Asked,
    by: Mapping[str, str],
) -> str:
    row = "_row"
    if asked == "everybody":
        row = "customer"
    columns = ",\n    ".join(states)
    answer = """\
SELECT _asked._row, _counted.* EXCLUDE (_row)
FROM _asked LEFT JOIN _counted ON _counted._row = _asked._row
ORDER BY _asked._row"""
    if asked == "everybody":
        answer = "SELECT * FROM _counted"
    asked_columns = "".join(f"{name}, " for name in ("_row", "customer", *by))
    if asked in ("periods", "regions"):
        asked_columns = "".join(f"{name}, " for name in ("_row", *by))
    if asked == "everybody":
        asked_columns = ""
    return f"""\
WITH _asked AS (
  SELECT {asked_columns}epoch_us(time) AS asked_at
  FROM _spine
),
{steps}_credited AS (
{_credited(metrics, asked)}
),
_counted AS (
  SELECT {row},
    {columns}
  FROM _credited
  GROUP BY {row}
)
{answer}"""


def _credited(metrics: Mapping[str, MetricDefinition], asked: Asked) -> str:
    window = f"o.time <= d.asked_at + {_longest(metrics.values())}"
    if all(metric.aggregate != "new" for metric in metrics.values()):
        window = f"o.time > d.asked_at AND {window}"
    if asked == "everybody":
        return f"  SELECT d.asked_at, o.* FROM _asked AS d JOIN _outcomes AS o ON {window}"
    if asked == "periods":
        return f"  SELECT d._row, d.asked_at, o.* FROM _asked AS d JOIN _outcomes AS o ON {window}"
    if asked == "decisions":
        theirs = f"WHERE o.decision IS NULL\n    AND {window}"
        selects = [_joined("decision", f"WHERE {window}"), _joined("customer", theirs)]
        return "\n  UNION ALL\n".join(selects)
    if asked == "regions":
        return _joined("_region", f"WHERE {window}")
    return _joined(asked.removesuffix("s"), f"WHERE {window}")


def _longest(metrics: Iterable[MetricDefinition]) -> int:
    return max(metric.within.microseconds for metric in metrics if metric.within)


def _joined(column: str, condition: str) -> str:
    return f"""\
  SELECT d._row, d.asked_at, o.*
  FROM _asked AS d JOIN _outcomes AS o ON o.{column} = d.{column}
  {condition}"""
