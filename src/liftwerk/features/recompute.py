"""What was served, made again from the log: as of a time, by what stood in it up to an offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.as_of import with_expressions, with_inputs
from liftwerk.features.brought import brought
from liftwerk.features.compile import Plan, compile_features
from liftwerk.features.concerned import Key
from liftwerk.features.definition import FeatureDefinition
from liftwerk.features.entity import CUSTOMER
from liftwerk.features.join import KEY_TYPES, values_as_of
from liftwerk.identity.resolve import customers_of, relations
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores


class Question(Struct, frozen=True):
    """What was asked.

    Attributes
    ----------
    key : tuple
        Whom or what it was about: any leaf key of a customer, the leaf key of a visitor, or a value
        for each part of another entity's key.
    time : datetime
        The time that the values are of.
    request : mapping of str to object
        What came with it.
    """

    key: Key
    time: datetime
    request: Mapping[str, Any] = {}


def recompute(
    project: Project,
    stores: Stores,
    asked: Sequence[Question],
    features: Sequence[str],
    purpose: str,
    offset: int,
) -> pa.Table:
    """Answer questions as they were answered when the log ended at an offset.

    An event counts when it happened before the question's time and stands at or below the offset.
    Whose it is, which report of a conversion is the best and what was withdrawn are known by the
    same rows. Who is erased since, and rows that were taken out when their time was up, are
    missing.

    Parameters
    ----------
    project : Project
        Declares the features.
    stores : Stores
        Where the events are, sorted up to the offset.
    asked : sequence of Question
        All about the entity of the features.
    features : sequence of str
        Which features.
    purpose : str
        What they were read for.
    offset : int
        The last one that was known.

    Returns
    -------
    pyarrow.Table
        One column a feature, in the order of the questions.

    Raises
    ------
    UnknownName
        If a feature or the purpose is not declared.
    Refused
        If money in another currency would be mixed in.
    """
    wanted, plans = _compiled(project, tuple(features))
    as_of = AsOf(offset=offset)
    keys = [one.key for one in asked]
    if plans[0].source.entity == CUSTOMER:
        customers = customers_of(project, stores, [leaf for (leaf,) in keys], as_of)
        keys = [(customers[leaf],) for (leaf,) in keys]
    columns = {
        part.name: pa.array([key[place] for key in keys], KEY_TYPES[part.type])
        for place, part in enumerate(plans[0].source.key)
    }
    times = pa.array([one.time for one in asked], pa.timestamp("us", "UTC"))
    names = sorted({plan.event for plan in plans})
    with relations(project, stores, purpose, as_of, names) as connection:
        spine = pa.table({**columns, **_requests(wanted, asked), "time": times})
        values = values_as_of(connection, plans, spine, project.currency)
    beside = brought(
        project,
        stores,
        wanted,
        spine,
        dict(zip(values.column_names, values.columns, strict=True)),
        purpose,
        as_of,
    )
    for name, column in beside.items():
        values = values.append_column(name, column)
    return with_expressions(project, wanted, values).select(list(features))


def _requests(
    features: Mapping[str, FeatureDefinition], asked: Sequence[Question]
) -> dict[str, pa.Array]:
    return {
        name: pa.array([one.request.get(name) for one in asked])
        for name, feature in features.items()
        if feature.request is not None
    }


@lru_cache(maxsize=16)
def _compiled(
    project: Project, features: tuple[str, ...]
) -> tuple[dict[str, FeatureDefinition], list[Plan]]:
    wanted = with_inputs(project, features)
    made = compile_features(
        wanted, known_events(project), project.currency, project.get(ENTITIES), by_time=False
    )
    return wanted, made
