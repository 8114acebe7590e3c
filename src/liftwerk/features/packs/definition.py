"""``[feature_packs.NAME]``: one line that stands for several features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from liftwerk.definitions.lines import Path
from liftwerk.definitions.problem import Problem, dotted
from liftwerk.definitions.project import Project
from liftwerk.definitions.section import Expanded, Section, is_name, named
from liftwerk.errors import did_you_mean
from liftwerk.events.definition import known_events
from liftwerk.features.definition import FEATURES, FeatureDefinition, operand_type
from liftwerk.features.packs.kinds import PACKS
from liftwerk.features.packs.pack import FeaturePack, Pack, Signal

EVERY = ".*"
"""After a pack's name: all of its features."""


def _expand(project: Project) -> Iterable[Problem | Expanded]:
    """Make the features of every pack; what is declared by hand under such a name is kept."""
    declared = project.get(FEATURES)
    owner: dict[str, str] = {}
    for name, pack in project.get(FEATURE_PACKS).items():
        found = list(_problems(project, name, pack))
        yield from found
        if found:
            continue
        path: Path = ("feature_packs", name)
        for feature, made in _made(name, pack):
            if not is_name(feature) or feature == f"{name}_":
                what = f"{dotted(path)} would make a feature named {feature!r}"
                yield project.problem(path, "write at least one letter or digit", what=what)
            elif feature in owner:
                what = f"{dotted(path)} would make {feature!r} again"
                if owner[feature] != name:
                    what = f"{dotted(path)} would make {feature!r}, as {owner[feature]} does"
                yield project.problem(path, "choose another name", what=what)
            elif feature not in declared:
                yield Expanded(FEATURES, feature, made, {("features", feature): path})
            owner[feature] = name


def features_of(name: str, pack: FeaturePack) -> dict[str, FeatureDefinition]:
    """Make the features of a pack.

    Parameters
    ----------
    name : str
        The pack's.
    pack : FeaturePack

    Examples
    --------
    >>> list(features_of("rfm", FeaturePack(from_="order", value="revenue")))
    ['rfm_recency', 'rfm_tenure', 'rfm_frequency', 'rfm_monetary', 'rfm_mean_value']
    """
    return dict(_made(name, pack))


def _made(name: str, pack: FeaturePack) -> Iterator[tuple[str, FeatureDefinition]]:
    for end, feature in PACKS[pack.kind or name].make(pack, name):
        yield f"{name}_{end}", replace(feature, owner=pack.owner)


def name_features(
    project: Project, section: Section[dict[str, Any]]
) -> Iterable[Problem | Expanded]:
    """Put a pack's features in the place of ``PACK.*`` in every list ``features`` of a section.

    Parameters
    ----------
    project : Project
        Its packs are sound.
    section : Section
        Its tables have a key ``features``.
    """
    packs = project.get(FEATURE_PACKS)
    for name, one in project.get(section).items():
        path: Path = (section.name, name, "features")
        every: list[str] = []
        written: dict[Path, Path] = {}
        for place, feature in enumerate(one.features):
            meant = [feature]
            pack = feature.removesuffix(EVERY)
            if feature.endswith(EVERY) and pack in packs:
                meant = list(features_of(pack, packs[pack]))
            elif feature.endswith(EVERY):
                known = [f"{other}{EVERY}" for other in packs]
                yield project.unknown((*path, place), feature, known)
            for expanded in meant:
                written[(*path, len(every))] = (*path, place)
                every.append(expanded)
        if tuple(every) != one.features:
            yield Expanded(section, name, replace(one, features=tuple(every)), written)


def _problems(project: Project, name: str, pack: FeaturePack) -> Iterator[Problem]:
    path: Path = ("feature_packs", name)
    if (pack.kind or name) not in PACKS:
        what = f"{dotted(path)} is of no kind"
        hint = f"add kind = … ({did_you_mean(name, PACKS)})"
        yield project.problem(path, hint, what=what)
        return
    kind = PACKS[pack.kind or name]
    for key in kind.needs:
        if key not in pack.given:
            what = f"{dotted((*path, key))} is missing"
            yield project.problem((*path, key), _wanted(kind), what=what)
    for key in pack.given:
        if key not in (*kind.needs, *kind.takes):
            what = f"{dotted((*path, key))} is for another kind of pack"
            yield project.problem((*path, key), _wanted(kind), what=what)
    yield from _unknown_events(project, path, pack)
    yield from _wrong_properties(project, path, pack, kind)
    if kind.check is not None and all(key in pack.given for key in kind.needs):
        yield from kind.check(project, path, pack)
    if pack.saturation is not None and not 0 < pack.saturation < float("inf"):
        yield project.problem((*path, "saturation"), "write a number above 0", pack.saturation)


def _wanted(kind: Pack) -> str:
    words = f"{kind.name} needs {', '.join(kind.needs)}"
    if kind.takes:
        words += f" and takes {', '.join(kind.takes)}"
    return words


def _unknown_events(project: Project, path: Path, pack: FeaturePack) -> Iterator[Problem]:
    events = known_events(project)
    named_: list[tuple[Path, str]] = []
    for key, value in pack.given.items():
        if key == "from":
            named_.append(((*path, key), value))
        elif key == "events":
            named_ += [((*path, key, place), event) for place, event in enumerate(value)]
        elif isinstance(value, Signal):
            named_.append(((*path, key), value.event))
    for where, event in named_:
        if event not in events:
            yield project.unknown(where, event, events)


def _wrong_properties(
    project: Project, path: Path, pack: FeaturePack, kind: Pack
) -> Iterator[Problem]:
    event = known_events(project).get(pack.from_ or "")
    if event is None:
        return
    for key, types in kind.types.items():
        if key not in pack.given:
            continue
        text = str(pack.given[key])
        items = None
        if key == "property":
            items = pack.unnest
        if items is not None and items not in event.properties:
            yield project.unknown((*path, key), text, event.properties)
            continue
        type_ = operand_type(event, text, items)
        if type_ is None:
            yield project.unknown((*path, key), text, event.properties)
        elif type_ not in types:
            hint = f"it is of type {type_}: {kind.name} wants {' or '.join(types)}"
            yield project.problem((*path, key), hint, text)


FEATURE_PACKS = named("feature_packs", FeaturePack, expand=_expand)
