"""A feature's version: the hash of all that its values depend on.

Two features with the same version have the same value for every customer and time, whatever their
descriptions say; a change of the property's type, of what makes two events one fact, or of the
project's currency makes another version of the features that read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from liftwerk.definitions.project import Project, plain_value
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.features.condition import columns_of_event, parse_condition
from liftwerk.features.definition import (
    CLOCK,
    FEATURES,
    FeatureDefinition,
    features_read,
    operand_type,
    parsed,
    readable_types,
)
from liftwerk.features.entity import BUILT_IN, key_of
from liftwerk.features.files import file_of
from liftwerk.features.rows import DEFAULT_HOP
from liftwerk.identity.definition import IDENTITY
from liftwerk.privacy.definition import PURPOSES

ALGEBRA = 2
"""Counted up whenever an aggregate's meaning changes."""

WORDS = ("description", "owner", "refresh", "checks", "deprecated", "use")
"""Parts of a definition that say something of a feature, and decide no value."""

_APART = (*WORDS, "by")
"""Parts that are not hashed as they are written; ``by`` is hashed as the key that it makes."""


def feature_versions(project: Project, names: Iterable[str]) -> dict[str, str]:
    """Return the version of several declared features, in the order they are asked for.

    Parameters
    ----------
    project : Project
        Where they are declared.
    names : iterable of str
        The features.

    Returns
    -------
    dict of str to str
        Feature -> what `feature_version` says.
    """
    return {name: feature_version(project, name) for name in names}


def feature_version(project: Project, name: str) -> str:
    """Return the version of one declared feature.

    Parameters
    ----------
    project : Project
        Where it is declared.
    name : str
        The feature.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits, over the parts of the definition that decide its values, the
        event's version, key and property, how its older versions are read, and the currency where
        the property is money.

    Raises
    ------
    UnknownName
        If no such feature is declared.
    """
    feature = project.lookup(FEATURES, name)
    # What is not said is left out, so that another word to say changes no version.
    definition: dict[str, Any] = {
        word: value
        for word, value in plain_value(feature).items()
        if word not in _APART and value not in (None, [])
    }
    if feature.expression is not None:
        expression = parsed(project, feature)
        definition["expression"] = expression.text
        return _hash(
            {
                "algebra": ALGEBRA,
                "feature": definition,
                "features": feature_versions(project, features_read(project, feature)),
                **_beside(project, feature, expression.names),
            }
        )
    if feature.from_ is None:
        return _hash({"algebra": ALGEBRA, "feature": definition, **_own(project, feature)})
    event = known_events(project)[feature.from_]
    columns = columns_of_event(event, project.currency, feature.unnest)
    for word, text in (("where", feature.where), ("when", feature.when)):
        if text is not None:
            definition[word] = parse_condition(text, columns).text
    if feature.window is not None and feature.hop is None:
        definition["hop"] = f"{DEFAULT_HOP}us"  # written or not, it is the same feature
    depends: dict[str, Any] = {"version": event.version, "unique": list(event.unique)}
    if event.earlier:
        depends["earlier"] = plain_value(event.earlier)
    if feature.entity not in BUILT_IN:
        depends["key"] = plain_value(key_of(feature, event, project.get(ENTITIES)))
    if feature.property is not None:
        type_ = operand_type(event, feature.property, feature.unnest)
        unit = ""
        if feature.property in event.properties:
            unit = event.properties[feature.property].unit
        depends["property"] = {"type": type_, "unit": unit}
        if type_ == "money":
            depends["currency"] = project.currency
    return _hash({"algebra": ALGEBRA, "feature": definition, "event": depends})


def _beside(project: Project, feature: FeatureDefinition, names: Iterable[str]) -> dict[str, Any]:
    """Return what the value of an expression depends on besides features."""
    types = readable_types(project, feature)
    found: dict[str, Any] = {name: types[name] for name in names if "." in name}
    if "money" in found.values():
        found["currency"] = project.currency
    if any(name in CLOCK for name in names):
        found["timezone"] = project.timezone.key
    return found


def _own(project: Project, feature: FeatureDefinition) -> dict[str, Any]:
    """Return what the value of a user's own statement or function depends on."""
    if feature.request is not None:
        return {}
    events = known_events(project)
    return {
        "file": hashlib.sha256(file_of(project, feature).read_bytes()).hexdigest(),
        "events": {name: plain_value(events[name].properties) for name in feature.inputs},
    }


def rules_of(project: Project, purpose: str) -> str:
    """Hash what decides, beside the features, who may be read for a purpose and who is one.

    Parameters
    ----------
    project : Project
    purpose : str
        A declared one.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits, over the purpose's declaration, the identifiers and what is
        declared of identity.
    """
    declared = plain_value(project.lookup(PURPOSES, purpose))
    identity = project.section_hash(IDENTIFIERS, IDENTITY)
    return _hash({"purpose": declared, "identity": identity})


def _hash(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
