"""Versions of features and views: kept whenever definitions are put to use.

A version is kept with all that decides its values: its own definition, those of the features that
it reads, and the parts of the events that it reads them of. So what a value meant can be told long
after the project file says something else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct

from liftwerk.definitions.project import Project, plain_value
from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.events.definition import known_events
from liftwerk.features.as_of import with_inputs
from liftwerk.features.catalogue import reads_of
from liftwerk.features.definition import FEATURES
from liftwerk.features.files import file_of
from liftwerk.features.version import ALGEBRA, WORDS, feature_version, feature_versions, rules_of
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.store.ledger import Ledger, UsedDefinition

ACTION = "features.use"
"""The audit entry of new versions."""

SHORT = 8
"""Digits of a version that are shown."""

_DECIDES = ("type", "unit", "of", "privacy")
"""Parts of a property that matter to who reads it."""

DEPENDS = ("algebra", "events", "features", "file", "currency")
"""What is kept beside a feature's own definition: all that it depends on."""

Body = dict[str, Any]


class Version(Struct, frozen=True):
    """A version of a feature, or of a view.

    Attributes
    ----------
    name, version : str
    definition : dict
        What it says; ``features`` and ``events`` hold what it depends on.
    first, last : datetime or None
        When it was first used, and last taken up; None before it is used at all.
    """

    name: str
    version: str
    definition: Body
    first: datetime | None
    last: datetime | None

    @property
    def short(self) -> str:
        """The version's first digits."""
        return self.version[:SHORT]


def put_to_use(project: Project, ledger: Ledger, actor: str, at: datetime) -> list[str]:
    """Keep the declared features and views, as far as they are not the ones in use.

    Parameters
    ----------
    project : Project
    ledger : Ledger
    actor : str
    at : datetime

    Returns
    -------
    list of str
        What is new, or taken up again, as ``features.NAME``; one audit entry tells of all.
    """
    news = []
    for section, declared in _declared(project):
        latest = {one.name: one for one in ledger.used_definitions(section)}
        for name, version, body in declared:
            known = latest.get(name)
            text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            if known is None or (known.version, known.body) != (version, text):
                news.append(UsedDefinition(section, name, version, text, at, at))
    names = [f"{one.section}.{one.name}" for one in news]
    if news:
        versions = {name: one.version for name, one in zip(names, news, strict=True)}
        with ledger.change(actor, ACTION, "features", {"versions": versions}, at) as change:
            for one in news:
                ledger.use_definition(change, one)
    return names


def versions_of(project: Project, ledger: Ledger | None, name: str) -> list[Version]:
    """Return the versions of a feature, the one that is declared now last.

    Parameters
    ----------
    project : Project
    ledger : Ledger or None
        None where nothing was put to use yet.
    name : str

    Raises
    ------
    UnknownName
        If no such feature is declared, or ever was used.
    """
    kept = []
    if ledger is not None:
        kept = [_read(one) for one in ledger.used_definitions(FEATURES.name, name)]
    if name not in project.get(FEATURES):
        if not kept:
            project.lookup(FEATURES, name)
        return kept
    version, body = feature_version(project, name), _feature(project, name)
    if kept and (kept[-1].version, kept[-1].definition) == (version, body):
        return kept
    return [*kept, Version(name, version, body, None, None)]


def version_named(versions: list[Version], text: str) -> Version:
    """Return a version by the beginning of its hash; of several with other words the last.

    Raises
    ------
    UnknownName
        If there is none, or the beginning fits several.
    """
    fitting = [one for one in versions if one.version.startswith(text)]
    known = list(dict.fromkeys(one.short for one in versions))
    where = f"features.{versions[0].name}"
    if not fitting:
        raise UnknownName(f"no version {text!r}", where, did_you_mean(text, known))
    if len({one.version for one in fitting}) > 1:
        raise UnknownName(f"several versions begin with {text!r}", where, "write more digits")
    return fitting[-1]


def view_version(project: Project, name: str) -> str:
    """Return the version of a view: its values are kept apart from those of every other.

    Other features, another purpose, or other rules of who may be read for it make another version.

    Parameters
    ----------
    project : Project
    name : str
        The view's.
    """
    view = project.lookup(FEATURE_VIEWS, name)
    versions = feature_versions(project, view.features).values()
    depends = [view.purpose, *versions, rules_of(project, view.purpose)]
    return hashlib.sha256("\n".join(depends).encode()).hexdigest()[:16]


def _declared(project: Project) -> Iterable[tuple[str, list[tuple[str, str, Body]]]]:
    features = project.get(FEATURES)
    yield (
        FEATURES.name,
        [(name, feature_version(project, name), _feature(project, name)) for name in features],
    )
    views: list[tuple[str, str, Body]] = []
    for name, view in project.get(FEATURE_VIEWS).items():
        body = {**_plain(view), "versions": _versions(project, name)}
        body.pop("also", None)  # what is kept beside it says nothing of it
        views.append((name, view_version(project, name), body))
    yield FEATURE_VIEWS.name, views


def _versions(project: Project, view: str) -> dict[str, str]:
    """Return the versions of all features that a view reads."""
    names = with_inputs(project, project.lookup(FEATURE_VIEWS, view).features)
    return feature_versions(project, names)


def _feature(project: Project, name: str) -> Body:
    """Return a feature's definition with all that it depends on."""
    inputs = with_inputs(project, [name])
    events: dict[str, Body] = {}
    declared = known_events(project)
    for one in inputs.values():
        for name_, _ in reads_of(project, one):
            event, *keys = name_.split(".")
            of = declared[event]
            facts = {"version": of.version, "unique": of.unique, "earlier": of.earlier}
            told = events.setdefault(event, _plain(facts))
            for key in keys[:1]:
                plain = _plain(of.properties[key])
                properties = told.setdefault("properties", {})
                properties[key] = {one: plain[one] for one in _DECIDES if one in plain}
    body = {"algebra": ALGEBRA, **_plain(inputs[name]), "events": events}
    if inputs[name].inputs:
        body["file"] = hashlib.sha256(file_of(project, inputs[name]).read_bytes()).hexdigest()
    others = {other: _plain(one) for other, one in inputs.items() if other != name}
    if others:
        # What is said of another feature is no part of this one.
        body["features"] = {
            other: {key: part for key, part in one.items() if key not in WORDS}
            for other, one in others.items()
        }
    read = [one["type"] for told in events.values() for one in told.get("properties", {}).values()]
    if "money" in read:
        body["currency"] = project.currency
    return body


def _plain(value: Any) -> Body:
    """Write a definition as it would be declared, without what is not."""
    written: Body = _written(plain_value(value))
    return written


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        parts = {key: _written(one) for key, one in value.items()}
        return {key: one for key, one in parts.items() if one not in (None, "", [], {})}
    if isinstance(value, (list, tuple)):
        return [_written(one) for one in value]
    return value


def _read(one: UsedDefinition) -> Version:
    return Version(one.name, one.version, json.loads(one.body), one.first, one.last)
