"""What a declared feature must satisfy before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.events.definition import EventDefinition, known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features import condition, expression, files
from liftwerk.features.checks.definition import check_checks
from liftwerk.features.definition import (
    CLOCK,
    FEATURES,
    FeatureDefinition,
    operand_type,
    parsed,
    readable_types,
    value_type,
)
from liftwerk.features.entity import BUILT_IN, CONTEXT, VISITOR, KeyPart, key_of
from liftwerk.features.kinds import AGGREGATES, Aggregate
from liftwerk.features.kinds.aggregate import DAY
from liftwerk.features.kinds.decayed_sum import MOST_HOPS
from liftwerk.identity.definition import anonymous_namespaces

WAYS = ("expression", "request", "sql", "python", "from")
"""How a value may come about: a feature has one of these."""

FIELDS = {"from": "from_"}

ONLY_FOR = {
    "aggregate": ("from",),
    "property": ("from",),
    "window": ("from",),
    "hop": ("from",),
    "where": ("from",),
    "when": ("from",),
    "unnest": ("from",),
    "half_life": ("from",),
    "prior": ("from",),
    "by": ("from", "sql", "python"),
    "inputs": ("sql", "python"),
}


def check_features(project: Project) -> Iterable[Problem]:
    """Find what is wrong with the declared features."""
    for name, feature in project.get(FEATURES).items():
        path: Path = ("features", name)
        if feature.entity not in (*BUILT_IN, *project.get(ENTITIES)):
            known = [*BUILT_IN, *project.get(ENTITIES)]
            yield project.unknown((*path, "entity"), feature.entity, known)
        elif feature.entity == VISITOR and not anonymous_namespaces(project):
            hint = "declare one with anonymous = true: [identifiers.NAME]"
            what = f"{dotted(path)} is about a visitor, and no namespace is anonymous"
            yield project.problem((*path, "entity"), hint, what=what)
        else:
            yield from _check_way(project, name, feature)
        yield from _check_deprecation(project, name, feature)
        type_ = value_type(project, feature)
        yield from check_checks(project, (*path, "checks"), feature.checks, type_)


def _check_way(project: Project, name: str, feature: FeatureDefinition) -> Iterable[Problem]:
    """Find what is wrong with how a value comes about."""
    path: Path = ("features", name)
    given = [way for way in WAYS if getattr(feature, FIELDS.get(way, way)) is not None]
    if not given:
        what = f"{dotted(path)} has neither from nor expression"
        hint = 'add from = "EVENT" and aggregate = "count", or expression = "…"'
        yield project.problem(path, hint, what=what)
        return
    first, *others = given
    for other in others:
        hint = f"leave it out: the value comes of {first}"
        yield project.problem((*path, other), hint, str(getattr(feature, FIELDS.get(other, other))))
    for word, ways in ONLY_FOR.items():
        value = getattr(feature, word)
        if value and first not in ways:
            hint = f"leave it out: it is for a feature with {' or '.join(ways)}"
            yield project.problem((*path, word), hint, str(value))
    if name in CLOCK:
        what = f"a feature cannot be named {name!r}: expressions ask the clock by it"
        yield project.problem(path, "choose another name", what=what)
    if first == "from":
        yield from _check_aggregate(project, path, feature)
    elif first == "expression":
        yield from _check_expression(project, name, feature, project.get(FEATURES))
    elif first in ("sql", "python"):
        yield from _check_own(project, path, feature)


def _check_own(project: Project, path: Path, feature: FeatureDefinition) -> Iterable[Problem]:
    events = known_events(project)
    if not feature.inputs:
        what = f"{dotted(path)}.inputs is missing"
        yield project.problem((*path, "inputs"), "name the events that it reads", what=what)
    for place, event in enumerate(feature.inputs):
        if event not in events:
            yield project.unknown((*path, "inputs", place), event, events)
            return
        yield from _check_key(project, path, feature, events[event])
    yield from files.check_file(project, path, feature)


def _check_deprecation(
    project: Project, name: str, feature: FeatureDefinition
) -> Iterable[Problem]:
    path: Path = ("features", name, "use")
    if feature.use is None:
        return
    features = project.get(FEATURES)
    if feature.deprecated is None:
        hint = 'add deprecated = "2027-03-01", the day from which nothing may use it'
        yield project.problem(path, hint, feature.use)
    if feature.use not in features:
        yield project.unknown(path, feature.use, [one for one in features if one != name])
    elif feature.use == name:
        yield project.problem(path, "name another feature", feature.use)
    elif features[feature.use].entity != feature.entity:
        hint = f"it is about a {features[feature.use].entity}, and this about a {feature.entity}"
        yield project.problem(path, hint, feature.use)


def _check_expression(
    project: Project,
    name: str,
    feature: FeatureDefinition,
    features: Mapping[str, FeatureDefinition],
) -> Iterable[Problem]:
    path: Path = ("features", name)
    assert feature.expression is not None
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
    yield from _check_key(project, path, feature, definition)
    yield from _check_property(project, path, feature, definition, aggregate)
    yield from _check_times(project, path, feature, aggregate)
    yield from _check_conditions(project, path, feature, definition)


def _check_key(
    project: Project, path: Path, feature: FeatureDefinition, definition: EventDefinition
) -> Iterable[Problem]:
    where = (*path, "by")
    if feature.entity in BUILT_IN:
        if feature.by:
            hint = f"leave it out: every event says which {feature.entity} it is about"
            yield project.problem(where, hint, list(feature.by))
        return
    declared = project.get(ENTITIES)[feature.entity]
    if feature.by and len(feature.by) != len(declared.key):
        hint = f"name what says each of {', '.join(declared.key)}"
        yield project.problem(where, hint, list(feature.by))
        return
    for place, part in enumerate(key_of(feature, definition, project.get(ENTITIES))):
        yield from _check_key_part(project, path, feature, definition, place, part)


def _check_key_part(
    project: Project,
    path: Path,
    feature: FeatureDefinition,
    definition: EventDefinition,
    place: int,
    part: KeyPart,
) -> Iterable[Problem]:
    where: Path = (*path, "entity")
    if feature.by:
        where = (*path, "by", place)
    type_: str | None = "string"
    if not part.column.startswith(CONTEXT):
        type_ = operand_type(definition, part.column, feature.unnest)
    if part.type == "time":
        what = f"{dotted(path)} is about a {feature.entity}, which is told by a time"
        hint = "it may be about what string, integer or boolean properties tell apart"
        yield project.problem((*path, "entity"), hint, what=what)
    elif type_ is None and feature.by:
        yield project.unknown(where, part.column, _readable(definition, feature.unnest))
    elif type_ is None:
        what = f"{dotted(path)} does not say which {feature.entity} it is about"
        hint = (
            f'{feature.from_!r} has no {part.column!r}: add by = ["…"], what says the {part.name}'
        )
        yield project.problem(where, hint, what=what)
    elif type_ != part.type:
        hint = f"it is of type {type_}, and the {part.name} of a {feature.entity} is a {part.type}"
        yield project.problem(where, hint, part.column)


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
