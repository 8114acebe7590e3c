"""What checks keep: references to compare with, and what was accepted.

Both are small documents in the store of online values, and neither says anything about one person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.errors import Conflict
from liftwerk.features.checks.definition import SPREAD
from liftwerk.features.checks.finding import Finding
from liftwerk.features.checks.sketch import Sketch, sketch
from liftwerk.features.definition import FEATURES, value_type
from liftwerk.features.version import feature_version
from liftwerk.store.online import Changes, Online
from liftwerk.store.stores import Stores

ACCEPTED = "checks/accepted"
"""Space of a view's values -> what somebody accepted of them."""

REFERENCES = "checks/references"
"""A feature's version -> how its values were spread."""


class Reference(Struct, frozen=True):
    """How a feature's values were spread when somebody kept it.

    Attributes
    ----------
    sketch : Sketch
    source : str
        Of what, such as ``feature_views.crm`` or ``models.voucher``.
    at : datetime
    """

    sketch: Sketch
    source: str
    at: datetime


class Accepted(Struct, frozen=True):
    """What was found once, and may be so.

    Attributes
    ----------
    subject, check : str
        As in the finding.
    expected : str
        What was declared then: of another declaration nothing is accepted.
    observed : object
    """

    subject: str
    check: str
    expected: str
    observed: Any


T = TypeVar("T")


def read_accepted(online: Online, space: str) -> list[Accepted]:
    """Return what was accepted of a view's values."""
    return _read(online, ACCEPTED, space, list[Accepted]) or []


def keep_accepted(
    online: Online, space: str, findings: Iterable[Finding], at: datetime
) -> list[Accepted]:
    """Keep what is accepted of a view's values, in the place of what was of the same checks."""
    known = {(one.subject, one.check): one for one in read_accepted(online, space)}
    for one in findings:
        known[one.subject, one.check] = Accepted(one.subject, one.check, one.expected, one.observed)
    _keep(online, ACCEPTED, {space: list(known.values())}, at)
    return list(known.values())


def references(project: Project, stores: Stores, names: Iterable[str]) -> dict[str, Reference]:
    """Return how the values of features were spread, where a check asks and somebody kept it."""
    asking = {
        name: feature_version(project, name)
        for name in names
        if project.lookup(FEATURES, name).checks.distribution is not None
    }
    if not asking:
        return {}
    bodies, _ = stores.online.get(REFERENCES, [one.encode() for one in asking.values()])
    return {
        name: msgspec.json.decode(body, type=Reference)
        for name, body in zip(asking, bodies, strict=True)
        if body is not None
    }


def keep_sketches(
    project: Project, stores: Stores, values: pa.Table, source: str, at: datetime
) -> dict[str, Sketch]:
    """Keep how the values of features are spread, in the place of what was kept before.

    Parameters
    ----------
    project : Project
    stores : Stores
    values : pyarrow.Table
        A column a feature.
    source : str
        Of what they are the values.
    at : datetime

    Returns
    -------
    dict of str to Sketch
        Those of which no value is known are not in it, nor are times: they only ever go on.
    """
    sketches = {}
    for name in values.column_names:
        found = None
        if value_type(project, project.lookup(FEATURES, name)) in SPREAD:
            found = sketch(values.column(name))
        if found is not None:
            sketches[name] = found
    kept = {
        feature_version(project, name): Reference(one, source, at) for name, one in sketches.items()
    }
    _keep(stores.online, REFERENCES, kept, at)
    return sketches


def _read(online: Online, space: str, key: str, type_: type[T]) -> T | None:
    (body,), _ = online.get(space, [key.encode()])
    if body is None:
        return None
    return msgspec.json.decode(body, type=type_)


def _keep(online: Online, space: str, kept: Mapping[str, Any], at: datetime) -> None:
    puts = [(key.encode(), msgspec.json.encode(one)) for key, one in kept.items()]
    while puts:
        try:
            online.apply({space: Changes(online.progress(space), puts)}, 0, at)
        except Conflict:
            continue  # somebody else kept something, or erased: ours does not rest on it
        return
