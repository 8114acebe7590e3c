"""What of an experiment is held fast when it is registered, and the hash of it.

It is all that decides who gets what and what is concluded: the definition, the metrics that judge
it, and the versions of the features that it reads. What merely says something of it is left out,
and so is what is about people: the owner, and who tests it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import rfc8785
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from liftwerk.definitions.project import Project, plain_value
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.features.version import feature_versions
from liftwerk.metrics.definition import METRICS

Body = dict[str, Any]

WORDS = (
    "description",
    "owner",
    "label",
    "spend",
    "testers",
    "target",
    "threshold",
    "supports",
    "surrogate",
)
"""Parts of a definition that decide no arm and no figure."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def body_of(project: Project, name: str) -> Body:
    """Return what is held fast of an experiment, as it is declared now.

    Parameters
    ----------
    project : Project
    name : str
        The experiment's.

    Returns
    -------
    dict
        ``experiment``, ``metrics`` (name -> definition, with those that they are made of),
        ``features`` (name -> version) and ``currency``; without what is left at its default.

    Raises
    ------
    UnknownName
        If it is not declared.
    """
    experiment = project.lookup(EXPERIMENTS, name)
    metrics = _metrics(project, (*experiment.metrics, *experiment.counter_metrics))
    read = (*experiment.strata, *experiment.covariates, *experiment.segments)
    # A list: which arm is control is said by the order, and the order of keys is not hashed.
    arms = [{"name": arm, **_said(said)} for arm, said in experiment.arms.items()]
    body: Body = {
        "experiment": {**_said(experiment), "arms": arms},
        "metrics": metrics,
        "features": feature_versions(project, read),
        "currency": project.currency,
    }
    again: Body = json.loads(rfc8785.dumps(body))  # as it is read from the ledger
    return again


def hash_of(body: Body) -> str:
    """Return the SHA-256 of a body's RFC 8785 form, in hexadecimal digits."""
    return hashlib.sha256(rfc8785.dumps(body)).hexdigest()


def definition_of(body: Body) -> ExperimentDefinition:
    """Read a definition that was held fast; it has no descriptions, owner or testers."""
    said = body["experiment"]
    arms = {arm["name"]: {**arm, "name": None} for arm in said["arms"]}
    whole = {**said, "arms": arms, "description": ""}
    return msgspec.convert(whole, ExperimentDefinition, dec_hook=_typed)


def differences(before: Body, after: Body) -> tuple[str, ...]:
    """Name the keys whose values differ between two bodies.

    Examples
    --------
    >>> differences({"metrics": {"a": {"within": "1us"}}}, {"metrics": {"a": {"within": "2us"}}})
    ('metrics.a.within',)
    """
    one, other = dict(_leaves(before, ())), dict(_leaves(after, ()))
    keys = sorted({*one, *other})
    return tuple(key for key in keys if one.get(key) != other.get(key))


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, (*path, key))
        return
    if isinstance(value, list) and value and isinstance(value[0], dict):
        yield ".".join(path), [one["name"] for one in value]
        for one in value:
            rest = {key: said for key, said in one.items() if key != "name"}
            yield from _leaves(rest, (*path, one["name"]))
        return
    yield ".".join(path), value


def _metrics(project: Project, names: Iterable[str]) -> dict[str, Body]:
    """Return the definitions of metrics and of all that they are made of."""
    declared = project.get(METRICS)
    found: dict[str, Body] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _said(declared[name])
        waiting += [word for word in _names_in(found[name]) if word in declared]
    return found


def _names_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _NAME.findall(value)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _names_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from _names_in(one)


def _said(definition: Struct) -> Body:
    """Write what is said in a definition, without the words.

    What is left at its default is left out: a key that a later liftwerk adds changes no hash.
    """
    plain: Body = plain_value(definition)
    return {
        field.encode_name: plain[field.encode_name]
        for field in fields(definition)
        if field.name not in WORDS and not _is_default(field, getattr(definition, field.name))
    }


def _is_default(field: FieldInfo, value: object) -> bool:
    if field.default_factory is not NODEFAULT:
        return bool(value == field.default_factory())
    return field.default is not NODEFAULT and bool(value == field.default)


def _typed(wanted: type[Any], text: Any) -> Any:
    """Make a typed string of its canonical form."""
    return wanted(text)
