"""What a value may be reckoned from besides events: the request, the clock, reference data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.entities.join import join
from liftwerk.features.definition import CLOCK, FeatureDefinition
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


def clock_of(time: datetime, zone: ZoneInfo) -> dict[str, int]:
    """Return what `CLOCK` names of one time.

    Examples
    --------
    >>> from datetime import UTC
    >>> clock_of(datetime(2026, 3, 29, 1, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin"))["hour_of_day"]
    3
    """
    local = time.astimezone(zone)
    return dict(zip(CLOCK, (local.hour, local.isoweekday(), local.day, local.month), strict=True))


def from_entities(
    project: Project,
    stores: Stores,
    spine: pa.Table,
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
        Has the columns of the entities' keys, and ``time``.
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
        rows = spine.select([*declared.key, "time"])
        joined = join(project, stores, rows, entity, purpose, known="time", as_of=as_of)
        for key in keys:
            column = joined.column(key if key in declared.key else f"{entity}_{key}")
            if declared.properties[key].type == "money":
                column = pc.divide(
                    pc.cast(column, pa.float64()), 10.0 ** exponent(project.currency)
                )
            found[f"{entity}.{key}"] = column
    return found
