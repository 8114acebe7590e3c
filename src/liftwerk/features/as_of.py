"""What was known of each customer when each decision was made, and what is known now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from liftwerk.definitions.project import Project
from liftwerk.errors import DefinitionError
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.asked import opened
from liftwerk.features.brought import brought
from liftwerk.features.checks.values import check_features
from liftwerk.features.compile import Plan, compile_features
from liftwerk.features.definition import FEATURES, FeatureDefinition, features_read, parsed
from liftwerk.features.expression import evaluate
from liftwerk.features.join import values_as_of, with_keys
from liftwerk.features.own import own_values
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.stores import Stores


def training_set(
    project: Project,
    stores: Stores,
    spine: pa.Table,
    features: Sequence[str],
    purpose: str,
    as_of: AsOf = NOW,
) -> pa.Table:
    """Add to each row of a spine what was known of its customer, or another entity, at its time.

    An event counts for a row when it happened before the row's time and was known by then: the
    future and what was learnt later never reach a model.

    Parameters
    ----------
    project : Project
        Declares the features.
    stores : Stores
        Where the events are.
    spine : pyarrow.Table
        ``time`` (timestamp in UTC), and whom or what the features are about: ``customer`` or
        ``visitor`` (binary), ``session``, or the properties of a declared entity's key; further
        columns are kept. With a ``decision`` (binary) the row is about the identifier that this
        decision was made for.
    features : sequence of str
        Which features.
    purpose : str
        What they are read for.
    as_of : AsOf
        What the reader may know at all: an offset rebuilds an old training set.

    Returns
    -------
    pyarrow.Table
        The spine, in its order, with one column a feature. Money, sums, counts and days since are
        float64, exact until one last division; the last value of a property keeps the property's
        type. Nothing known: null, but 0 for a count or a sum.

    Raises
    ------
    UnknownName
        If a feature or the purpose is not declared.
    DefinitionError
        If a feature is named like a column of the spine.
    InputError
        If the spine does not say whom a row is about.
    Refused
        If values break a declared check, or money in another currency would be mixed in.
    """
    definitions = {name: project.lookup(FEATURES, name) for name in features}
    for name, definition in definitions.items():
        if name in spine.column_names and definition.request is None:
            what = f"a feature cannot be named {name!r}: decisions have a column of that name"
            raise DefinitionError(what, f"features.{name}", "choose another name")
    wanted, plans = _compiled(project, tuple(features))
    keyed = with_keys(spine, plans)
    columns: dict[str, pa.ChunkedArray] = {}
    for entity in dict.fromkeys(plan.source.entity for plan in plans):
        group = [plan for plan in plans if plan.source.entity == entity]
        names = list(dict.fromkeys(plan.event for plan in group))
        with opened(project, stores, entity, keyed, purpose, as_of, names) as (connection, asked):
            found = values_as_of(connection, group, asked, project.currency)
        columns |= dict(zip(found.column_names, found.columns, strict=True))
    columns |= own_values(project, stores, wanted, keyed, purpose, as_of)
    columns |= brought(project, stores, wanted, keyed, columns, purpose, as_of)
    values = with_expressions(project, wanted, pa.table(columns))
    check_features(project, stores, values, features)
    table = spine
    for name, definition in definitions.items():
        if definition.request is None:
            table = table.append_column(name, values.column(name))
    return table


@lru_cache(maxsize=16)
def _compiled(
    project: Project, features: tuple[str, ...]
) -> tuple[dict[str, FeatureDefinition], list[Plan]]:
    """Compile once what is asked for again and again, one decision after another."""
    wanted = with_inputs(project, features)
    entities = project.get(ENTITIES)
    return wanted, compile_features(wanted, known_events(project), project.currency, entities)


def events_of(project: Project, features: Iterable[str]) -> list[str]:
    """Name the events that some features read, in order."""
    found: set[str] = set()
    for feature in with_inputs(project, features).values():
        found.update(feature.inputs)
        if feature.from_ is not None:
            found.add(feature.from_)
    return sorted(found)


def with_inputs(project: Project, features: Iterable[str]) -> dict[str, FeatureDefinition]:
    """Look features up, and those that expressions read: each before what reads it."""
    found: dict[str, FeatureDefinition] = {}

    def visit(name: str) -> None:
        if name not in found:
            feature = project.lookup(FEATURES, name)
            if feature.expression is not None:
                for read in features_read(project, feature):
                    visit(read)
            found[name] = feature

    for name in features:
        visit(name)
    return found


def with_expressions(
    project: Project, features: Mapping[str, FeatureDefinition], values: pa.Table
) -> pa.Table:
    """Add the values of expressions to those of aggregates.

    Parameters
    ----------
    project : Project
    features : mapping of str to FeatureDefinition
        From `with_inputs`.
    values : pyarrow.Table
        A column for everything else that they read.
    """
    numbers: dict[str, NDArray[np.float64]] = {}
    for name, feature in features.items():
        if feature.expression is None:
            continue
        expression = parsed(project, feature)
        for read in expression.names:
            if read not in numbers:
                column = pc.cast(values.column(read), pa.float64(), safe=False)
                numbers[read] = pc.fill_null(column, np.nan).to_numpy()
        found = evaluate(expression, numbers, values.num_rows)
        values = values.append_column(name, pa.array(found, mask=np.isnan(found)))
    return values


def current(
    project: Project,
    stores: Stores,
    customers: Sequence[bytes],
    features: Sequence[str],
    purpose: str,
    now: datetime,
    offset: int | None = None,
) -> pa.Table:
    """Return what is known of customers now, by the same definitions as in training.

    Parameters
    ----------
    project : Project
        Declares the features.
    stores : Stores
        Where the events are.
    customers : sequence of bytes
        Customer keys.
    features : sequence of str
        Which features.
    purpose : str
        What they are read for.
    now : datetime
        The instant, with its zone.
    offset : int, optional
        The last one that may be known.

    Returns
    -------
    pyarrow.Table
        ``customer``, ``time`` and one column a feature, in the order of the customers.
    """
    spine = pa.table(
        {
            "customer": pa.array(customers, pa.binary()),
            "time": pa.array([now] * len(customers), pa.timestamp("us", "UTC")),
        }
    )
    return training_set(project, stores, spine, features, purpose, AsOf(now, offset))
