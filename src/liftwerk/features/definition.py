"""``[features.NAME]``: what is known of an entity as of a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import named
from liftwerk.definitions.typed import Duration
from liftwerk.events.definition import known_events

Aggregate = Literal["last", "count", "sum", "time_since"]

AGGREGATES: tuple[Aggregate, ...] = ("last", "count", "sum", "time_since")
"""Every aggregate, by name; ``features/kinds`` holds one file each."""

_OF_A_PROPERTY = ("last", "sum")


class FeatureChecks(Struct, frozen=True):
    """What a feature's values must satisfy.

    Attributes
    ----------
    minimum, maximum : float or None
        Bounds, both included.
    """

    minimum: float | None = None
    maximum: float | None = None


class FeatureDefinition(Struct, frozen=True):
    """``[features.NAME]``.

    Attributes
    ----------
    entity : str
        Whom it is about.
    from_ : str
        The event it reads (``from`` in the file).
    aggregate : str
        How many events become one value.
    property : str or None
        The event's property that is aggregated.
    window : Duration or None
        How far back it looks; None for all that is known.
    hop : Duration or None
        The step to which the window's head is rounded down.
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
    from_: str = field(name="from")
    aggregate: Aggregate
    property: str | None = None
    window: Duration | None = None
    hop: Duration | None = None
    description: str = ""
    owner: str = ""
    refresh: Literal["batch", "streaming"] = "batch"
    checks: FeatureChecks = FeatureChecks()


def _check(project: Project) -> Iterable[Problem]:
    events = known_events(project)
    for name, feature in project.get(FEATURES).items():
        path: Path = ("features", name)
        if feature.from_ not in events:
            yield project.unknown((*path, "from"), feature.from_, events)
            continue
        properties = events[feature.from_].properties
        needed = feature.aggregate in _OF_A_PROPERTY
        if needed and feature.property is None:
            what = f"{dotted(path)}.property is missing"
            hint = f"{feature.aggregate!r} aggregates a property of {feature.from_!r}"
            yield project.problem((*path, "property"), hint, what=what)
        elif feature.property is not None and not needed:
            hint = f"leave it out: {feature.aggregate!r} looks at the events themselves"
            yield project.problem((*path, "property"), hint, feature.property)
        elif feature.property is not None and feature.property not in properties:
            yield project.unknown((*path, "property"), feature.property, properties)
        elif feature.property is not None:
            type_ = properties[feature.property].type
            if feature.aggregate == "sum" and type_ not in ("integer", "number", "money"):
                hint = f"a {type_} cannot be summed"
                yield project.problem((*path, "property"), hint, feature.property)
            if type_ == "list":
                hint = "a list cannot be aggregated"
                yield project.problem((*path, "property"), hint, feature.property)
        if feature.window is not None and feature.window.microseconds == 0:
            yield project.problem((*path, "window"), "write more than 0", str(feature.window))
        if feature.hop is not None and feature.window is None:
            yield project.problem((*path, "hop"), "a hop is for a window", str(feature.hop))


FEATURES = named("features", FeatureDefinition, _check)
