"""What a value may be reckoned from besides events: the request, the clock, reference data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.entities.join import join
from liftwerk.features.definition import CLOCK, FeatureDefinition, parsed
from liftwerk.money import exponent
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores

_TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "money": pa.float64(),
    "string": pa.string(),
}


def brought(
    project: Project,
    stores: Stores,
    features: Mapping[str, FeatureDefinition],
    spine: pa.Table,
    values: Mapping[str, pa.ChunkedArray],
    purpose: str,
    as_of: AsOf,
) -> dict[str, pa.ChunkedArray]:
    """Return all that some features read besides events, by the names that they read it by.

    Parameters
    ----------
    project : Project
    stores : Stores
    features : mapping of str to FeatureDefinition
        With all that they read.
    spine : pyarrow.Table
        ``time``, the entities' keys, and what came with each question.
    values : mapping of str to pyarrow.ChunkedArray
        What is known of them by features that are made of events: their values may say which
        other entity is meant.
    purpose : str
    as_of : AsOf
        What may be known at all.

    Raises
    ------
    InputError
        If something should have come with a question, and did not.
    """
    found = from_request(features, spine)
    if any(name in CLOCK for one in features.values() for name in _names_beside(project, one)):
        found |= from_clock(spine.column("time"), project.timezone)
    names = properties_read(project, features)
    said = {**values, **found}
    return found | from_entities(project, stores, spine, said, names, purpose, as_of)


def reading_beside(
    project: Project, features: Mapping[str, FeatureDefinition]
) -> dict[str, FeatureDefinition]:
    """Return the features that read anything besides events and other features."""
    return {
        name: feature
        for name, feature in features.items()
        if feature.request is not None or _names_beside(project, feature)
    }


def _names_beside(project: Project, feature: FeatureDefinition) -> list[str]:
    if feature.expression is None:
        return []
    return [name for name in parsed(project, feature).names if "." in name or name in CLOCK]


def properties_read(project: Project, features: Mapping[str, FeatureDefinition]) -> list[str]:
    """Name the properties of entities that expressions read."""
    every = (name for one in features.values() for name in _names_beside(project, one))
    return [name for name in dict.fromkeys(every) if "." in name]


def from_request(
    features: Mapping[str, FeatureDefinition], spine: pa.Table
) -> dict[str, pa.ChunkedArray]:
    """Take what came with each question out of its column.

    Parameters
    ----------
    features : mapping of str to FeatureDefinition
    spine : pyarrow.Table

    Raises
    ------
    InputError
        If a column is missing, or holds something else.
    """
    found = {}
    for name, feature in features.items():
        if feature.request is None:
            continue
        if name not in spine.column_names:
            what = f"the rows do not bring {name!r}, a {feature.request} that comes with a request"
            raise InputError(what, "spine", "add a column of that name")
        try:
            found[name] = spine.column(name).cast(_TYPES[feature.request])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            what = f"{name!r} holds {spine.column(name).type}, and is a {feature.request}"
            raise InputError(what, "spine", "correct it") from None
    return found


def from_clock(times: pa.ChunkedArray, zone: ZoneInfo) -> dict[str, pa.ChunkedArray]:
    """Return what `CLOCK` names of some times.

    Examples
    --------
    >>> times = pa.chunked_array([pa.array([0], pa.timestamp("us", "UTC"))])
    >>> found = from_clock(times, ZoneInfo("Asia/Tokyo"))
    >>> {name: numbers[0].as_py() for name, numbers in found.items()}
    {'hour_of_day': 9, 'day_of_week': 4, 'day_of_month': 1, 'month_of_year': 1}
    """
    local = pc.cast(times, pa.timestamp("us", zone.key))
    found = (
        pc.hour(local),
        pc.day_of_week(local, count_from_zero=False),
        pc.day(local),
        pc.month(local),
    )
    return dict(zip(CLOCK, found, strict=True))


def from_entities(
    project: Project,
    stores: Stores,
    spine: pa.Table,
    said: Mapping[str, pa.ChunkedArray],
    names: Iterable[str],
    purpose: str,
    as_of: AsOf,
) -> dict[str, pa.ChunkedArray]:
    """Return what held of declared entities at each question's time, and was known by then.

    Parameters
    ----------
    project : Project
    stores : Stores
    spine : pyarrow.Table
        Has ``time``, and the key of whom it is about.
    said : mapping of str to pyarrow.ChunkedArray
        Values that say the keys of other entities.
    names : iterable of str
        ``ENTITY.PROPERTY``.
    purpose : str
        What they are read for.
    as_of : AsOf
        What may be known at all.

    Returns
    -------
    dict of str to pyarrow.ChunkedArray
        Money in units.
    """
    found: dict[str, pa.ChunkedArray] = {}
    by_entity: dict[str, list[str]] = {}
    for name in names:
        entity, _, key = name.partition(".")
        by_entity.setdefault(entity, []).append(key)
    for entity, keys in by_entity.items():
        declared = project.get(ENTITIES)[entity]
        whose = {part: said[part] if part in said else spine.column(part) for part in declared.key}
        rows = pa.table({**whose, "time": spine.column("time")})
        joined = join(project, stores, rows, entity, purpose, known="time", as_of=as_of)
        for key in keys:
            column = joined.column(key if key in declared.key else f"{entity}_{key}")
            if declared.properties[key].type == "money":
                column = pc.divide(
                    pc.cast(column, pa.float64()), 10.0 ** exponent(project.currency)
                )
            found[f"{entity}.{key}"] = column
    return found
