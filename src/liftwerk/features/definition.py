"""``[features.NAME]``: what is known of an entity as of a time."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.definitions.typed import Duration, Share
from liftwerk.events.definition import EventDefinition, known_events
from liftwerk.features.kinds import AGGREGATES, Aggregate
from liftwerk.features.kinds.aggregate import DAY, WEIGHT_SCALE, Prior
from liftwerk.features.kinds.decayed_sum import MOST_HOPS
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk.features import condition, expression
    from liftwerk.features.expression import Expression
else:  # they bring a parser along, and every command reads this file
    condition = LazyModule("liftwerk.features.condition")
    expression = LazyModule("liftwerk.features.expression")

AggregateName = Literal[
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "first",
    "last",
    "distinct",
    "time_since",
    "time_since_first",
    "rate",
    "decayed_count",
    "decayed_sum",
    "top_share",
]
"""Every aggregate, by name; ``features/kinds`` holds one file each."""


class FeatureChecks(Struct, frozen=True):
    """What a feature's values must satisfy.

    Attributes
    ----------
    minimum, maximum : float or None
        Bounds, both included.
    """

    minimum: float | None = None
    maximum: float | None = None


class PriorDefinition(Struct, frozen=True):
    """What is believed of a share before anything is seen.

    Attributes
    ----------
    share : Share
        The share.
    weight : float
        How many events the belief is worth.
    """

    share: Share
    weight: float


class FeatureDefinition(Struct, frozen=True):
    """``[features.NAME]``: an aggregate of events, or an ``expression`` of other features.

    Attributes
    ----------
    entity : str
        Whom it is about.
    from_ : str or None
        The event it reads (``from`` in the file).
    aggregate : str or None
        How many events become one value.
    property : str or None
        The event's property that is aggregated; with ``unnest`` a field of the items, as in
        ``items.price``.
    window : Duration or None
        How far back it looks; None for all that is known.
    hop : Duration or None
        The step to which the window's head is rounded down, and in which a decay goes; a day.
    where : str or None
        Which events count, such as ``channel = 'email' and revenue >= 20``.
    when : str or None
        For a ``rate``: which of these are hits.
    unnest : str or None
        A property that is a list: each of its items counts as an event of its own.
    half_life : Duration or None
        For what decays: after which time an event counts half.
    prior : PriorDefinition or None
        For a ``rate`` or a ``top_share``: what is believed before anything is seen.
    expression : str or None
        In place of ``from`` and ``aggregate``: arithmetic over other features of the entity.
    description : str
        What it says.
    owner : str
        Who answers for it.
    refresh : str
        How fresh served values are.
    checks : FeatureChecks
        What its values must satisfy.
    """

    entity: Literal["customer"]
    from_: str | None = field(name="from", default=None)
    aggregate: AggregateName | None = None
    property: str | None = None
    window: Duration | None = None
    hop: Duration | None = None
    where: str | None = None
    when: str | None = None
    unnest: str | None = None
    half_life: Duration | None = None
    prior: PriorDefinition | None = None
    expression: str | None = None
    description: str = ""
    owner: str = ""
    refresh: Literal["batch", "streaming"] = "batch"
    checks: FeatureChecks = FeatureChecks()

    @builtins.property  # the field `property` hides the short name here
    def belief(self) -> Prior:
        """The prior in whole numbers."""
        if self.prior is None:
            return Prior()
        return Prior(self.prior.share.exact, round(self.prior.weight * WEIGHT_SCALE))


def operand_type(definition: EventDefinition, name: str, unnest: str | None) -> str | None:
    """Return the declared type of a property, or of a field of the unnested items.

    Parameters
    ----------
    definition : EventDefinition
    name : str
        As it is written in the project file.
    unnest : str or None
        The list whose items are the rows.

    Returns
    -------
    str or None
        None if there is no such thing.
    """
    if unnest is not None:
        items = definition.properties[unnest].of
        if isinstance(items, dict) and name.startswith(f"{unnest}."):
            return items.get(name.removeprefix(f"{unnest}."))
        if name == unnest and isinstance(items, str):
            return items
    if name in definition.properties:
        return definition.properties[name].type
    return None


def _check(project: Project) -> Iterable[Problem]:
    features = project.get(FEATURES)
    for name, feature in features.items():
        path: Path = ("features", name)
        if feature.expression is not None:
            yield from _check_expression(project, name, feature, features)
        elif feature.from_ is None:
            what = f"{dotted(path)} has neither from nor expression"
            hint = 'add from = "EVENT" and aggregate = "count", or expression = "…"'
            yield project.problem(path, hint, what=what)
        else:
            yield from _check_aggregate(project, path, feature)


def _check_expression(
    project: Project,
    name: str,
    feature: FeatureDefinition,
    features: Mapping[str, FeatureDefinition],
) -> Iterable[Problem]:
    path: Path = ("features", name)
    assert feature.expression is not None
    for word in ("from", "aggregate", "property", "window", "where", "when", "unnest"):
        given = getattr(feature, {"from": "from_"}.get(word, word))
        if given is not None:
            hint = "leave it out: an expression reads other features alone"
            yield project.problem((*path, word), hint, str(given))
    types = readable_types(project, feature)
    where = (*path, "expression")
    problems = list(expression.check_expression(project, where, feature.expression, types))
    yield from problems
    if not problems:
        every = {
            other: parsed(project, one)
            for other, one in features.items()
            if one.expression is not None and one.entity == feature.entity
        }
        circle = expression.cycle(every)
        if name in circle:
            hint = f"it is defined by itself: {' -> '.join(circle)}"
            yield project.problem(where, hint, feature.expression)


def readable_types(project: Project, feature: FeatureDefinition) -> dict[str, str]:
    """Return what an expression may read: the features of its entity, and their types."""
    return {
        name: value_type(project, one)
        for name, one in project.get(FEATURES).items()
        if one.entity == feature.entity
    }


def parsed(project: Project, feature: FeatureDefinition) -> Expression:
    """Return a feature's expression, parsed."""
    assert feature.expression is not None
    return expression.parse_expression(feature.expression, readable_types(project, feature))


def value_type(project: Project, feature: FeatureDefinition) -> str:
    """Return the type of a feature's values, as properties name theirs; ``number`` for most."""
    if feature.aggregate not in ("first", "last", "min", "max") or feature.property is None:
        return "number"
    event = known_events(project).get(feature.from_ or "")
    if event is None or (feature.unnest is not None and feature.unnest not in event.properties):
        return "number"
    return operand_type(event, feature.property, feature.unnest) or "number"


def _check_aggregate(project: Project, path: Path, feature: FeatureDefinition) -> Iterable[Problem]:
    events = known_events(project)
    if feature.from_ not in events:
        yield project.unknown((*path, "from"), str(feature.from_), events)
        return
    if feature.aggregate is None:
        what = f"{dotted(path)}.aggregate is missing"
        yield project.problem((*path, "aggregate"), f"one of {', '.join(AGGREGATES)}", what=what)
        return
    definition = events[feature.from_]
    aggregate = AGGREGATES[feature.aggregate]
    if feature.unnest is not None:
        read = definition.properties.get(feature.unnest)
        if read is None:
            yield project.unknown((*path, "unnest"), feature.unnest, definition.properties)
            return
        if read.type != "list":
            yield project.problem((*path, "unnest"), f"a {read.type} has no items", feature.unnest)
            return
    yield from _check_property(project, path, feature, definition, aggregate)
    yield from _check_times(project, path, feature, aggregate)
    yield from _check_conditions(project, path, feature, definition)


def _check_property(
    project: Project,
    path: Path,
    feature: FeatureDefinition,
    definition: EventDefinition,
    aggregate: Aggregate,
) -> Iterable[Problem]:
    where = (*path, "property")
    if aggregate.types and feature.property is None:
        what = f"{dotted(path)}.property is missing"
        hint = f"{aggregate.name!r} aggregates a property of {feature.from_!r}"
        yield project.problem(where, hint, what=what)
    elif feature.property is not None and not aggregate.types:
        hint = f"leave it out: {aggregate.name!r} looks at the events themselves"
        yield project.problem(where, hint, feature.property)
    elif feature.property is not None:
        type_ = operand_type(definition, feature.property, feature.unnest)
        if type_ is None:
            yield project.unknown(where, feature.property, _readable(definition, feature.unnest))
        elif type_ == "list":
            hint = f'a list cannot be aggregated: add unnest = "{feature.property}"'
            yield project.problem(where, hint, feature.property)
        elif type_ == "time" and feature.property not in definition.properties:
            hint = f"the time of an item has no {aggregate.name} yet"
            yield project.problem(where, hint, feature.property)
        elif type_ not in aggregate.types:
            hint = f"a {type_} has no {aggregate.name}"
            yield project.problem(where, hint, feature.property)


def _readable(definition: EventDefinition, unnest: str | None) -> list[str]:
    names = list(definition.properties)
    if unnest is not None:
        items = definition.properties[unnest].of
        if isinstance(items, dict):
            names += [f"{unnest}.{name}" for name in items]
    return names


def _check_times(
    project: Project, path: Path, feature: FeatureDefinition, aggregate: Aggregate
) -> Iterable[Problem]:
    hop = DAY
    if feature.hop is not None:
        hop = feature.hop.microseconds
        if hop == 0:
            yield project.problem((*path, "hop"), "write more than 0", str(feature.hop))
            return
    if feature.window is not None and feature.window.microseconds == 0:
        yield project.problem((*path, "window"), "write more than 0", str(feature.window))
    elif (
        feature.window is not None and feature.hop is not None and feature.window.microseconds < hop
    ):
        hint = f"the window is shorter: write no more than {feature.window}"
        yield project.problem((*path, "hop"), hint, str(feature.hop))
    if feature.hop is not None and feature.window is None and not aggregate.decays:
        yield project.problem((*path, "hop"), "a hop is for a window", str(feature.hop))
    if aggregate.decays and feature.half_life is None:
        what = f"{dotted(path)}.half_life is missing"
        yield project.problem((*path, "half_life"), 'add half_life = "30d"', what=what)
    elif feature.half_life is not None and not aggregate.decays:
        hint = f"leave it out: a {aggregate.name} does not decay"
        yield project.problem((*path, "half_life"), hint, str(feature.half_life))
    elif feature.half_life is not None:
        hops, rest = divmod(feature.half_life.microseconds, hop)
        if rest != 0 or not 1 <= hops <= MOST_HOPS:
            hint = f"write 1 to {MOST_HOPS} times the hop ({feature.hop or '1d'})"
            yield project.problem((*path, "half_life"), hint, str(feature.half_life))


def _check_conditions(
    project: Project, path: Path, feature: FeatureDefinition, definition: EventDefinition
) -> Iterable[Problem]:
    if feature.aggregate == "rate" and feature.when is None:
        what = f"{dotted(path)}.when is missing"
        hint = "say which of the events are hits"
        yield project.problem((*path, "when"), hint, what=what)
    elif feature.when is not None and feature.aggregate != "rate":
        yield project.problem((*path, "when"), "when is for a rate: use where", feature.when)
    if feature.prior is not None:
        if feature.aggregate not in ("rate", "top_share"):
            hint = "leave it out: a prior is for a rate or a top_share"
            yield project.problem((*path, "prior"), hint, str(feature.prior.share))
        elif not 0 < feature.prior.weight < 1e9:
            hint = "write how many events it is worth, more than 0"
            yield project.problem((*path, "prior", "weight"), hint, feature.prior.weight)
    for word, text in (("where", feature.where), ("when", feature.when)):
        if text is not None:
            columns = condition.columns_of_event(definition, project.currency, feature.unnest)
            yield from condition.check_condition(project, (*path, word), text, columns)


FEATURES = named("features", FeatureDefinition, _check)
