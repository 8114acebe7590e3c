"""Versions of views that are still kept and served, until whoever reads them has moved.

`[feature_views.crm] also = ["crm@0ce71659"]` keeps a version that was put to use before, as it was:
its definitions are those of the ledger. Its values stand where they always stood, so that nothing
is filled anew. It reads the log by today's schema: where an event that it reads is declared
otherwise by now, its values would mean something else, and it is refused.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from liftwerk.definitions.decode import WRONG, decode
from liftwerk.definitions.project import Project
from liftwerk.errors import Refused, UnknownName, did_you_mean
from liftwerk.features.definition import FEATURES, FeatureDefinition
from liftwerk.features.used import DEPENDS, view_version
from liftwerk.features.version import feature_versions
from liftwerk.features.views import FEATURE_VIEWS, FeatureView
from liftwerk.store.ledger import Ledger, UsedDefinition
from liftwerk.store.online import Online
from liftwerk.store.stores import Stores

T = TypeVar("T")


def kept_names(project: Project) -> list[str]:
    """Name all views that are kept: the declared ones, and older versions of them."""
    names: list[str] = []
    for name, view in project.get(FEATURE_VIEWS).items():
        names += [name, *view.also]
    return names


def as_used(project: Project, ledger: Ledger, name: str) -> Project:
    """Return the project as it declared a view in a version, under the name ``VIEW@VERSION``.

    Parameters
    ----------
    project : Project
    ledger : Ledger
    name : str
        A declared view, or ``VIEW@VERSION`` with the first digits of a version that is kept: the
        one that is declared, or one that it says in ``also``.

    Raises
    ------
    UnknownName
        If it is not kept, or was never put to use.
    Refused
        If it would give other values than it did.
    """
    view, at, short = name.partition("@")
    if not at:
        return project
    declared = project.lookup(FEATURE_VIEWS, view)
    if short and view_version(project, view).startswith(short):
        return project.with_definition(FEATURE_VIEWS, name, declared)
    where = f"feature_views.{view}"
    if name not in declared.also:
        hint = f"add it to also of [{where}] ({did_you_mean(name, [view, *declared.also])})"
        raise UnknownName(f"the version {short!r} of {view!r} is not kept", where, hint)
    used = _one(ledger.used_definitions(FEATURE_VIEWS.name, view), short)
    if used is None:
        hint = "see the audit entries features.use, or take it out"
        raise UnknownName(f"no one version {name!r} was ever put to use", f"{where}.also", hint)
    body = json.loads(used.body)
    versions: dict[str, str] = body.pop("versions")
    older = project.with_definition(FEATURE_VIEWS, name, _read(FeatureView, body, name))
    for feature, version in versions.items():
        kept = _one(ledger.used_definitions(FEATURES.name, feature), version)
        if kept is not None:
            said = {key: one for key, one in json.loads(kept.body).items() if key not in DEPENDS}
            older = older.with_definition(FEATURES, feature, _read(FeatureDefinition, said, name))
    _demand_same(older, versions, name)
    if view_version(older, name) != used.version:
        what = f"who may be read for {name} is declared otherwise than it was"
        raise Refused(what, f"{where}.also", "take the version out: its values rest on other rules")
    return older


def orphans(project: Project, stores: Stores) -> list[str]:
    """Name the spaces that are kept of versions of views that nobody declares any more.

    Parameters
    ----------
    project : Project
    stores : Stores
    """
    declared = set()
    for name in kept_names(project):
        try:
            used = as_used(project, stores.ledger, name)
        except (Refused, UnknownName):
            declared.add(name)  # it is declared, and begins so
            continue
        declared.add(f"{name.partition('@')[0]}@{view_version(used, name)}")
    return [
        name
        for name in stores.online.names()
        if "@" in name and not any(name.startswith(one) for one in declared)
    ]


def drop_orphans(project: Project, stores: Stores) -> dict[str, int]:
    """Forget what is kept of versions that nobody declares any more.

    Nobody keeps such values up to date, so that they would outlive whom they are about.

    Returns
    -------
    dict of str to int
        Space -> how many rows went.
    """
    return {name: stores.online.drop(name) for name in orphans(project, stores)}


def drop_version(online: Online, name: str) -> None:
    """Forget what is kept of a version of a view."""
    for space in online.names():
        if space.startswith(name):
            online.drop(space)


def _demand_same(older: Project, versions: dict[str, str], name: str) -> None:
    for feature, version in versions.items():
        same = feature in older.get(FEATURES)
        if same:
            same = feature_versions(older, [feature])[feature] == version
        if not same:
            what = f"{feature} of {name} would be another one: what it reads is declared otherwise"
            where = f"feature_views.{name.partition('@')[0]}.also"
            raise Refused(what, where, "declare the event as it was, or take the version out")


def _one(found: list[UsedDefinition], version: str) -> UsedDefinition | None:
    """Return the version that begins so: of several with other words the last."""
    fitting = [one for one in found if one.version.startswith(version)]
    if not version or len({one.version for one in fitting}) != 1:
        return None
    return fitting[-1]


def _read(type_: type[T], body: dict[str, Any], name: str) -> T:
    """Read a definition that the ledger keeps; one of a newer liftwerk may say more."""

    def report(path: Any, what: str, hint: str) -> None:
        raise Refused(f"{name} cannot be read: {what}", "the ledger", hint)

    decoded = decode(type_, body, (), report)
    assert decoded is not WRONG
    read: T = decoded
    return read
