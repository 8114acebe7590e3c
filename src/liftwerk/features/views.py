"""``[feature_views.NAME]``: features that are kept ready and served together, for one purpose."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from msgspec import Struct

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import Expanded, named
from liftwerk.definitions.typed import Share
from liftwerk.events.arrival import ArrivalChecks, check_arrival
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.definition import FEATURES
from liftwerk.features.entity import BUILT_IN, PEOPLE
from liftwerk.features.packs.definition import name_features
from liftwerk.privacy.definition import PURPOSES

VERSION = "[0-9a-f]{8,16}"
"""How a version of a view is written, as a regular expression."""


class FeatureView(Struct, frozen=True):
    """``[feature_views.NAME]``.

    Attributes
    ----------
    purpose : str
        What the values are for: events that may not be used for it are not in them.
    features : tuple of str
        The features, all of one entity; ``PACK.*`` for all of a pack's.
    entity : str
        Whom or what they are about.
    sample : Share
        The part of the answers that is kept, so that it can be proved later what was told.
    description, owner : str
        What it is for, and who answers for it.
    checks : ArrivalChecks
        How what it is made of should keep coming.
    also : tuple of str
        Older versions of it that are kept and served until nobody reads them any more, as
        ``VIEW@VERSION`` with the first digits of the version.
    """

    purpose: str
    features: tuple[str, ...]
    entity: str = "customer"
    sample: Share = Share("0%")
    description: str = ""
    owner: str = ""
    checks: ArrivalChecks = ArrivalChecks()
    also: tuple[str, ...] = ()


def _check(project: Project) -> Iterable[Problem]:
    features = project.get(FEATURES)
    purposes: Collection[str] = project.get(PURPOSES)
    for name, view in project.get(FEATURE_VIEWS).items():
        path: Path = ("feature_views", name)
        known = [*BUILT_IN, *project.get(ENTITIES)]
        if view.entity not in known:
            yield project.unknown((*path, "entity"), view.entity, known)
            continue
        if view.sample.exact > 0 and view.entity not in PEOPLE:
            hint = "leave it out: what is told of it names nobody whom an erasure could find"
            yield project.problem((*path, "sample"), hint, str(view.sample))
        if view.purpose not in purposes:
            yield project.unknown((*path, "purpose"), view.purpose, purposes)
        if not view.features:
            yield project.problem((*path, "features"), "name at least one", [])
        for place, feature in enumerate(view.features):
            where = (*path, "features", place)
            if feature not in features:
                yield project.unknown(where, feature, features)
            elif features[feature].entity != view.entity:
                hint = f"it is about a {features[feature].entity}: a view is about a {view.entity}"
                yield project.problem(where, hint, feature)
            elif features[feature].sql is not None or features[feature].python is not None:
                hint = "it is made anew for each question, and not kept: leave it out"
                yield project.problem(where, hint, feature)
            elif view.features.index(feature) != place:
                yield project.problem(where, "name it once", feature)
        for place, older in enumerate(view.also):
            if re.fullmatch(f"{name}@{VERSION}", older) is None:
                hint = f"write {name}@ and at least 8 digits of a version, as its page tells them"
                yield project.problem((*path, "also", place), hint, older)
            elif view.also.index(older) != place:
                yield project.problem((*path, "also", place), "name it once", older)
        yield from check_arrival(project, (*path, "checks"), view.checks)
    kept = {name for view in project.get(FEATURE_VIEWS).values() for name in view.features}
    for name, definition in features.items():
        if definition.refresh == "streaming" and name not in kept:
            hint = "no feature view keeps it up to date: name it in one, or leave this out"
            yield project.problem(("features", name, "refresh"), hint, "streaming")


def _expand(project: Project) -> Iterable[Problem | Expanded]:
    yield from name_features(project, FEATURE_VIEWS)


FEATURE_VIEWS = named("feature_views", FeatureView, _check, _expand)
