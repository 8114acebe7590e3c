"""A definition becomes SQL: one plan for all features of one event and entity, in named steps.

    _events    the event as the engine's tables hold it, times and weights as whole numbers
    _rows      one row an event (or an item of its list): whom it is about, what is aggregated, and
              which conditions hold
    _asked     the spine: one row a question, with the head of each window
    _history   every row that a question was allowed to know: it happened before the as-of time, and
              it was known by then
    _states    exact states of each feature and question (whole numbers: floats are made by one
              finaliser)
    _shares    the same, where a feature needs to know how often each value of a property occurs

From ``_rows`` on, the steps are Ibis expressions: one definition, printed for DuckDB and for Spark.
All times are microseconds since 1970 in UTC. A feature with a window W and a hop H looks at event
times in [floor_H(as-of - W), as-of): the tail is exact, the head is rounded down to a hop, so that
tiles of length H can hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from liftwerk.events.definition import EventDefinition
from liftwerk.events.entities.definition import EntityDefinition
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.entity import key_of
from liftwerk.features.kinds.aggregate import Ratio
from liftwerk.features.rows import (
    COLUMN_TYPES,
    Columns,
    Slot,
    Source,
    age_name,
    decay_of,
    floor,
    read_steps,
    slot_of,
)
from liftwerk.features.steps import DIALECTS, Statement, Step
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    import ibis
else:
    ibis = LazyModule("ibis")

ROW = "_row"

NOTHING: Mapping[str, EntityDefinition] = {}


class Value(Struct, frozen=True):
    """How columns of a plan's result become a feature.

    Attributes
    ----------
    name : str
        The feature.
    slot : Slot
        What was aggregated.
    ratio : Ratio or None
        Makes a float of the states; None hands the state ``value`` on.
    columns : mapping of str to str
        State -> its column.
    """

    name: str
    slot: Slot
    ratio: Ratio | None
    columns: Mapping[str, str]


class Plan(Struct, frozen=True):
    """The steps for all features of one event and entity.

    Attributes
    ----------
    source : Source
        The event, and what is read of it.
    values : tuple of Value
        The features.
    statement : Statement
        Reads the relations ``_spine`` (``_row``, the entity's columns, ``time``) and the event's.
    """

    source: Source
    values: tuple[Value, ...]
    statement: Statement

    @property
    def event(self) -> str:
        """The event it reads."""
        return self.source.event

    def sql(self, dialect: str = "duckdb") -> str:
        """Write the plan for an engine: ``duckdb`` or ``pyspark``."""
        return self.statement.sql(dialect)


def compile_features(
    features: Mapping[str, FeatureDefinition],
    events: Mapping[str, EventDefinition],
    currency: str,
    entities: Mapping[str, EntityDefinition] = NOTHING,
    by_time: bool = True,
) -> list[Plan]:
    """Compile the aggregates among some definitions to one plan an event and entity.

    Parameters
    ----------
    features : mapping of str to FeatureDefinition
        What is asked for; those that aggregate no event are left out.
    events : mapping of str to EventDefinition
        The events they read.
    currency : str
        The project's currency.
    entities : mapping of str to EntityDefinition
        The declared ones among those that the features are about.
    by_time : bool
        Whether the event's relation holds more than a question may know, so that known times are
        looked at; otherwise it holds exactly what was known.

    Returns
    -------
    list of Plan
        In the order in which the events are first named.

    Examples
    --------
    >>> orders = FeatureDefinition(entity="customer", from_="order", aggregate="count")
    >>> (plan,) = compile_features({"orders": orders}, {"order": EventDefinition(1, "")}, "EUR")
    >>> [step.name for step in plan.statement.steps]
    ['_events', '_rows', '_asked', '_history', '_states', '_answers']
    """
    return [
        _plan(source, group, currency, by_time)
        for source, group in sources_of(features, events, currency, entities)
    ]


def sources_of(
    features: Mapping[str, FeatureDefinition],
    events: Mapping[str, EventDefinition],
    currency: str,
    entities: Mapping[str, EntityDefinition],
) -> list[tuple[Source, dict[str, FeatureDefinition]]]:
    """Group features by what they read: one event, one entity, one list or none."""
    groups: dict[Any, dict[str, FeatureDefinition]] = {}
    for name, feature in features.items():
        if feature.from_ is not None:
            key = key_of(feature, events[feature.from_], entities)
            by = (feature.from_, feature.entity, key, feature.unnest)
            groups.setdefault(by, {})[name] = feature
    return [
        (
            Source(
                event,
                events[event],
                entity,
                key,
                unnest,
                tuple(
                    dict.fromkeys(slot_of(one, events[event], currency) for one in group.values())
                ),
            ),
            group,
        )
        for (event, entity, key, unnest), group in groups.items()
    ]


def _plan(
    source: Source, features: Mapping[str, FeatureDefinition], currency: str, by_time: bool
) -> Plan:
    values = []
    for place, (name, feature) in enumerate(features.items()):
        slot = slot_of(feature, source.definition, currency)
        ratio = slot.kind.ratio(slot.operand, feature.belief)
        states = ("n", "top", "total") if slot.kind.by_value else tuple(slot.kind.merges)
        columns = {state: f"f{place}_{state}" for state in states}
        values.append(Value(name, slot, ratio, columns))
    events, rows = read_steps(source, currency, by_time)
    asked = Step.of("_asked", _asked(source, features, values))
    history = Step.of("_history", _history(source, rows, asked, features, by_time))
    steps = [events, rows, asked, history]
    made = _states(source, history.relation, values, features)
    steps += [Step.of(name, table) for name, table in made.items()]
    steps.append(_answers(steps[4:]))
    return Plan(source, tuple(values), Statement.of(*steps))


def _answers(states: list[Step]) -> Step:
    """Give each question its states, nulls where there are none, in the order of the spine."""
    made = {}
    for dialect in DIALECTS:
        columns = [f"{step.name}.{name}" for step in states for name in step.schema if name != ROW]
        joins = [f"LEFT JOIN {step.name} ON {step.name}.{ROW} = _asked.{ROW}" for step in states]
        made[dialect] = "\n".join(
            (
                f"SELECT _asked.{ROW}, {', '.join(columns)}",
                "FROM _asked",
                *joins,
                f"ORDER BY _asked.{ROW}",
            )
        )
    schema = {name: kind for step in states for name, kind in step.schema.items()}
    return Step("_answers", made, schema)


def head_name(feature: FeatureDefinition, slot: Slot) -> str | None:
    """Name the column with where a feature's window begins; None where it looks at everything."""
    if feature.window is None:
        return None
    return f"head_{feature.window.microseconds}_{slot.hop}"


def _asked(
    source: Source, features: Mapping[str, FeatureDefinition], values: list[Value]
) -> ibis.Table:
    keys = {f"e{place}": COLUMN_TYPES[part.type] for place, part in enumerate(source.key)}
    spine = ibis.table({ROW: "int64", **keys, "as_of": "int64"}, name="_spine")
    made = {}
    for value in values:
        feature = features[value.name]
        name = head_name(feature, value.slot)
        if name is not None and feature.window is not None:
            made[name] = floor(spine["as_of"] - feature.window.microseconds, value.slot.hop)
    return spine.mutate(**made)


def _history(
    source: Source,
    rows: Step,
    asked: Step,
    features: Mapping[str, FeatureDefinition],
    by_time: bool,
) -> ibis.Table:
    """Join each question with the rows that it was allowed to know."""
    question, row = asked.relation, rows.relation
    limits = [question[f"e{place}"] == row[f"e{place}"] for place, _ in enumerate(source.key)]
    limits.append(row["time"] < question["as_of"])
    if by_time:
        limits.append(row["known_at"] <= question["as_of"])
    if by_time and source.unique:  # of several reports, the best of those known by then
        later = row["superseded_at"] > question["as_of"]
        limits.append(ibis.coalesce(later, ibis.literal(True)))
    heads = [name for name in question.columns if name.startswith("head_")]
    if all(feature.window is not None for feature in features.values()):
        # What no window reaches need not be joined.
        limits.append(row["time"] >= ibis.least(*[question[name] for name in heads]))
    pairs = question.join(row, limits)
    entity = [f"e{place}" for place, _ in enumerate(source.key)]
    spent = [*entity, "known_at", "superseded_at"]
    ages = {
        age_name(slot): floor(question["as_of"], slot.hop) - floor(row["time"], slot.hop)
        for slot in source.slots
        if slot.kind.decays
    }
    return pairs.select(
        *[question[name] for name in (ROW, "as_of", *heads)],
        *[row[name] for name in row.columns if name not in spent],
        **ages,
    )


def _states(
    source: Source,
    history: ibis.Table,
    values: list[Value],
    features: Mapping[str, FeatureDefinition],
) -> dict[str, ibis.Table]:
    columns = Columns(source)
    flat: dict[str, ibis.Value] = {}
    steps: dict[str, ibis.Table] = {}
    for place, value in enumerate(values):
        feature, slot = features[value.name], value.slot
        head = head_name(feature, slot)
        kept = None
        if head is not None:
            kept = history["time"] >= history[head]
        decay = None
        if slot.kind.decays:
            decay = decay_of(slot, history[age_name(slot)])
        rows = columns.of(slot, history, kept, decay)
        if slot.kind.prepare is not None:
            prepared = slot.kind.prepare(rows)
            flat |= {value.columns[name]: prepared[name] for name in slot.kind.merges}
        else:
            steps[f"_shares_{place}"] = _shares(history, rows, value)
    if flat:
        steps = {"_states": history.group_by(ROW).aggregate(**flat), **steps}
    return steps


def _shares(history: ibis.Table, rows: Any, value: Value) -> ibis.Table:
    """Count what each value of a property weighs, and reduce that to three numbers."""
    each = (
        history.filter(rows.said)
        .select(ROW, _value=rows.value, _weight=rows.weight)
        .group_by([ROW, "_value"])
        .aggregate(weight=ibis._["_weight"].sum())
    )
    return each.group_by(ROW).aggregate(
        **{
            value.columns["n"]: each.count(),
            value.columns["top"]: each["weight"].max(),
            value.columns["total"]: each["weight"].sum(),
        }
    )
