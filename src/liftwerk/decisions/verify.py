"""Everything that was told of features is held against the log: by views, by decisions, and now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from liftwerk.clock import Clock
from liftwerk.decisions.definition import POLICIES
from liftwerk.definitions import Project
from liftwerk.errors import Refused, UnknownName
from liftwerk.events.columns import leaf_columns
from liftwerk.events.engine import quoted, text
from liftwerk.events.read import relations
from liftwerk.events.schema import schema_of
from liftwerk.features.definition import FEATURES
from liftwerk.features.entity import CUSTOMER, PEOPLE
from liftwerk.features.kept import KeptView, is_filled, kept_view, leaves_of
from liftwerk.features.older import as_used, kept_names
from liftwerk.features.serve import Server
from liftwerk.features.told import EVENT, Told, values_in, written
from liftwerk.features.verify import Verified, verify
from liftwerk.features.version import feature_versions, rules_of
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.models.definition import MODELS
from liftwerk.store.stores import Stores

AUDIT = "audit"
DECISION = "decision_made"

SAMPLE = 100
"""Answers of each kind, unless it is said."""


def verify_told(
    project: Project,
    stores: Stores,
    clock: Clock,
    rng: np.random.Generator,
    view: str | None = None,
    sample: int = SAMPLE,
    since: datetime | None = None,
) -> Verified:
    """Draw from what was told of features, make it again from the log, and compare.

    Three kinds of answers are drawn from: those of views that were noted when they were given
    (``sample`` of a view), those that decisions rest on, and those that views would give now.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    rng : numpy.random.Generator
        Draws them.
    view : str, optional
        Only answers of this view, or ``VIEW@VERSION``.
    sample : int
        Answers of each kind at most.
    since : datetime, optional
        Only answers from then on.

    Returns
    -------
    Verified

    Raises
    ------
    UnknownName
        If no such view is declared.
    """
    names = kept_names(project)
    if view is not None:
        as_used(project, stores.ledger, view)
        names = [name for name in names if name.partition("@")[0] == view] or [view]
    told = _noted(project, stores, rng, view, sample, since)
    if view is None:
        told += _decided(project, stores, rng, sample, since)
    for name in names:
        told += _kept(project, stores, clock, rng, name, sample)
    return verify(project, stores, told, clock.now(), since)


def _drawn(
    project: Project,
    stores: Stores,
    event: str,
    condition: str,
    rng: np.random.Generator,
    sample: int,
    since: datetime | None,
) -> list[dict[str, Any]]:
    """Draw rows of an event, each with its ``leaf``."""
    seed = int(rng.integers(2**62))
    if since is not None:
        condition += f" AND time >= TIMESTAMPTZ {text(since.isoformat())}"
    columns = [quoted(leaf) for leaf in leaf_columns(schema_of(project))]
    with relations(project, stores, AUDIT, names=[event]) as connection:
        rows: list[dict[str, Any]] = (
            connection.sql(
                f"SELECT *, coalesce({', '.join([*columns, 'NULL::BLOB'])}) AS leaf FROM {event}"
                f" WHERE NOT synthetic AND {condition}"
                f" ORDER BY md5(hex(id) || '{seed}') LIMIT {int(sample)}"
            )
            .to_arrow_table()
            .to_pylist()
        )
    return [row for row in rows if row["leaf"] is not None]


def _noted(
    project: Project,
    stores: Stores,
    rng: np.random.Generator,
    view: str | None,
    sample: int,
    since: datetime | None,
) -> list[Told]:
    """Draw from the answers of views that were noted; of a view, those of any version."""
    declared = project.get(FEATURE_VIEWS)
    if not declared:
        return []
    among = f"split_part(view, '@', 1) IN ({', '.join(map(text, declared))})"
    if view is not None:
        among = f"{text(view)} IN (view, split_part(view, '@', 1))"
    entities = {name: one.entity for name, one in declared.items()}
    return [
        Told(
            by="view",
            name=row["view"],
            key=(row["leaf"],),
            purpose=row["purpose"],
            values=values_in(row["feature_snapshot"], row["features"]),
            versions=dict(zip(row["features"], row["versions"], strict=True)),
            rules=row["rules"],
            time=row["features_as_of"],
            offset=row["known_offset"],
            entity=entities[row["view"].partition("@")[0]],
            request=_request(project, row),
        )
        for row in _drawn(project, stores, EVENT, among, rng, sample, since)
    ]


def _request(project: Project, row: Mapping[str, Any]) -> dict[str, Any]:
    """Read what came with the question: noted, or told again among the values."""
    declared = project.get(FEATURES)
    values = msgspec.json.decode(row["feature_snapshot"])
    said = {
        name: value
        for name, value in values.items()
        if name in declared and declared[name].request is not None
    }
    if row["request"] is not None:
        # What can come and did not was none.
        asked = [name for name, feature in declared.items() if feature.request is not None]
        said = {**dict.fromkeys(asked), **said, **msgspec.json.decode(row["request"])}
    return said


def _decided(
    project: Project,
    stores: Stores,
    rng: np.random.Generator,
    sample: int,
    since: datetime | None,
) -> list[Told]:
    """Draw from the decisions that say what they knew, by releases that are still known."""
    policies = project.get(POLICIES)
    placed = {policy.placement: name for name, policy in policies.items()}
    if not placed:
        return []
    suffices = "feature_snapshot IS NOT NULL AND known_offset IS NOT NULL AND release IS NOT NULL"
    versions = {
        release.id: msgspec.json.decode(release.body)["feature_versions"]
        for release in stores.ledger.releases()
    }
    told = []
    for row in _drawn(project, stores, DECISION, suffices, rng, sample, since):
        policy = placed.get(row["placement"])
        if policy is None or row["release"] not in versions:
            continue
        told.append(
            Told(
                by="decision",
                name=policy,
                key=(row["leaf"],),
                purpose=project.lookup(MODELS, policies[policy].model).purpose,
                values=values_in(row["feature_snapshot"]),
                versions=versions[row["release"]],
                rules=None,
                time=row["features_as_of"],
                offset=row["known_offset"],
                entity=CUSTOMER,
            )
        )
    return told


def _kept(
    project: Project,
    stores: Stores,
    clock: Clock,
    rng: np.random.Generator,
    name: str,
    sample: int,
) -> list[Told]:
    """Ask a view now, about some of those whom it keeps values of; nothing comes with it."""
    try:
        used = as_used(project, stores.ledger, name)
    except (Refused, UnknownName):
        return []  # it would be another one: nobody is told it
    kept = kept_view(used, name)
    progress = stores.online.progress(kept.space)
    if not is_filled(progress):
        return []
    first = rng.bytes(1)
    rows = stores.online.rows(kept.space, first, sample)
    rows += stores.online.rows(kept.space, limit=sample - len(rows))
    keys = _sound(stores, kept, [row.key for row in dict.fromkeys(rows)])
    read = {key: told for key in keys if (told := _key_of(kept, key)) is not None}
    served = Server(project, stores, name, clock).get_many(list(read.values()))
    versions = feature_versions(used, kept.declared.features)
    features = used.get(FEATURES)
    nothing = {one: None for one, feature in features.items() if feature.request is not None}
    return [
        Told(
            by="kept",
            name=name,
            key=key,
            purpose=kept.declared.purpose,
            values={feature: written(value) for feature, value in one.values.items()},
            versions=versions,
            rules=rules_of(used, kept.declared.purpose),
            time=one.as_of,
            offset=one.offset,
            entity=kept.entity,
            request=nothing,
        )
        for key, one in zip(read.values(), served, strict=True)
    ]


def _sound(stores: Stores, kept: KeptView, keys: Sequence[bytes]) -> list[bytes]:
    """Leave out whom a row is of that is marked to be made anew."""
    together = [[key] for key in keys]
    if kept.entity == CUSTOMER:
        groups, _ = stores.online.get(kept.members, keys)
        together = [leaves_of(group or key) for group, key in zip(groups, keys, strict=True)]
    every = [key for group in together for key in group]
    marks, _ = stores.online.get(kept.stale, every)
    marked = {key for key, mark in zip(every, marks, strict=True) if mark is not None}
    whole = zip(keys, together, strict=True)
    return [key for key, group in whole if marked.isdisjoint(group)]


def _key_of(kept: KeptView, key: bytes) -> tuple[Any, ...] | None:
    """Read a kept key; None where it is too long to be kept as it was written."""
    if kept.entity in PEOPLE:
        return (key,)
    try:
        return tuple(msgspec.json.decode(key))
    except msgspec.DecodeError:
        return None
