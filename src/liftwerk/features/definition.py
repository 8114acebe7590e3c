"""``[features.NAME]``: what is known of an entity as of a time."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.definitions.typed import Day, Duration, Share
from liftwerk.events.definition import EventDefinition, known_events
from liftwerk.events.entities.definition import ENTITIES, EntityDefinition
from liftwerk.features.checks.definition import FeatureChecks
from liftwerk.features.kinds.aggregate import WEIGHT_SCALE, Prior
from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from liftwerk.features import expression, rules
    from liftwerk.features.expression import Expression
else:  # they bring a parser along, and every command reads this file
    expression = LazyModule("liftwerk.features.expression")
    rules = LazyModule("liftwerk.features.rules")

CLOCK = ("hour_of_day", "day_of_week", "day_of_month", "month_of_year")
"""What an expression may ask of a question's time, in the project's zone; Monday is day 1."""

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


RequestType = Literal["integer", "number", "boolean", "money", "string"]
"""What may come with a question."""


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
        Whom or what it is about: ``customer``, ``visitor``, ``session``, or a declared entity.
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
    by : tuple of str
        For a declared entity: what in the event says each part of its key, such as
        ``["items.sku"]`` or ``["channel", "context.country"]``; by default the item's field or the
        event's property of that name.
    half_life : Duration or None
        For what decays: after which time an event counts half.
    prior : PriorDefinition or None
        For a ``rate`` or a ``top_share``: what is believed before anything is seen.
    expression : str or None
        In place of ``from`` and ``aggregate``: arithmetic over other features of the entity.
    request : str or None
        In place of ``from``: the type of a value that comes with each question, such as that of a
        basket; rows of a training set bring it in a column of the feature's name.
    sql : str or None
        In place of ``from`` and ``aggregate``: a file with one statement over what each question
        may know of ``inputs`` (`liftwerk.features.own`).
    python : str or None
        The same as ``FILE:FUNCTION``.
    inputs : tuple of str
        For ``sql`` and ``python``: the events that they read.
    description : str
        What it says.
    owner : str
        Who answers for it.
    refresh : str
        ``streaming`` where its values have to follow what is collected: a feature view must keep
        it. Of ``batch`` they may be made when they are asked for.
    checks : FeatureChecks
        What its values must satisfy.
    deprecated : Day or None
        From this day on nothing may use it: `check` warns before, and refuses after.
    use : str or None
        Which feature to use in its place.
    """

    entity: str
    from_: str | None = field(name="from", default=None)
    aggregate: AggregateName | None = None
    property: str | None = None
    window: Duration | None = None
    hop: Duration | None = None
    where: str | None = None
    when: str | None = None
    unnest: str | None = None
    by: tuple[str, ...] = ()
    half_life: Duration | None = None
    prior: PriorDefinition | None = None
    expression: str | None = None
    request: RequestType | None = None
    sql: str | None = None
    python: str | None = None
    inputs: tuple[str, ...] = ()
    description: str = ""
    owner: str = ""
    refresh: Literal["batch", "streaming"] = "batch"
    checks: FeatureChecks = FeatureChecks()
    deprecated: Day | None = None
    use: str | None = None

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


def readable_types(project: Project, feature: FeatureDefinition) -> dict[str, str]:
    """Return what an expression may read, and of what type that is.

    The features of its entity, what the clock says (`CLOCK`), and what is known of a declared
    entity, as ``ENTITY.PROPERTY``: of its own, and of each other one whose key its features say.
    """
    types = {
        name: value_type(project, one)
        for name, one in project.get(FEATURES).items()
        if one.entity == feature.entity
    }
    beside: dict[str, str] = {}
    for entity, declared in (project.find(ENTITIES) or {}).items():
        said = {part: types[part] for part in declared.key if part in types}
        if entity == feature.entity or said == key_types(declared):
            beside |= {f"{entity}.{name}": one.type for name, one in declared.properties.items()}
    return types | beside | dict.fromkeys(CLOCK, "integer")


def key_types(entity: EntityDefinition) -> dict[str, str]:
    """Return the type of each part of an entity's key."""
    return {part: entity.properties[part].type for part in entity.key if part in entity.properties}


def features_read(project: Project, feature: FeatureDefinition) -> list[str]:
    """Name the features that an expression reads, and those that say whose properties it reads."""
    features = project.get(FEATURES)
    found: list[str] = []
    for name in parsed(project, feature).names:
        entity, dot, _ = name.partition(".")
        if name in features:
            found.append(name)
        elif dot and entity != feature.entity:
            found += project.get(ENTITIES)[entity].key
    return list(dict.fromkeys(found))


def parsed(project: Project, feature: FeatureDefinition) -> Expression:
    """Return a feature's expression, parsed."""
    assert feature.expression is not None
    return expression.parse_expression(feature.expression, readable_types(project, feature))


def value_type(project: Project, feature: FeatureDefinition) -> str:
    """Return the type of a feature's values, as properties name theirs; ``number`` for most."""
    if feature.request is not None:
        return feature.request
    if feature.aggregate not in ("first", "last", "min", "max") or feature.property is None:
        return "number"
    event = known_events(project).get(feature.from_ or "")
    if event is None or (feature.unnest is not None and feature.unnest not in event.properties):
        return "number"
    return operand_type(event, feature.property, feature.unnest) or "number"


def _check(project: Project) -> Iterable[Problem]:
    yield from rules.check_features(project)


FEATURES = named("features", FeatureDefinition, _check)
