"""What metrics read is opened for a purpose, and counted row by row in whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liftwerk.definitions.project import Project
from liftwerk.errors import InputError
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.events.entities.read import hold_timelines
from liftwerk.features.finalise import Whole
from liftwerk.features.join import check_currency, exact_states
from liftwerk.identity.resolve import relations
from liftwerk.metrics.compile import Asked, Plan, compile_metrics
from liftwerk.metrics.definition import MetricDefinition
from liftwerk.metrics.reckon import microseconds, states_of
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores


def plans_of(
    project: Project,
    metrics: Mapping[str, MetricDefinition],
    asked: Asked,
    region: str | None = None,
) -> list[Plan]:
    """Compile metrics that count events, for a project."""
    return compile_metrics(
        metrics, known_events(project), project.currency, project.get(ENTITIES), asked, region
    )


def demand_countable(name: str, metric: MetricDefinition) -> None:
    """Refuse a metric that is not counted of events within a window.

    Raises
    ------
    InputError
    """
    hint = "name a metric with from = an event, aggregate and within"
    if metric.from_ is None:
        what = f"{name!r} counts no events, so that nobody has a number of it"
        raise InputError(what, f"metrics.{name}", hint)
    if metric.within is None:
        what = f"{name!r} has no window, so that nobody has a number of it"
        raise InputError(what, f"metrics.{name}", 'add within = "14d"')


@contextmanager
def opened(
    project: Project,
    stores: Stores,
    plans: Sequence[Plan],
    purpose: str,
    as_of: AsOf,
    leaves: pa.Array | None = None,
    after_offset: int | None = None,
    entities_as_of: AsOf | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open what plans read: their events, and the timelines of their entities.

    Parameters
    ----------
    project : Project
    stores : Stores
    plans : sequence of Plan
    purpose : str
    as_of : AsOf
        What may be known.
    leaves : pyarrow.Array, optional
        Leaf keys (binary): only events that name one of them.
    after_offset : int, optional
        Only events behind this one.
    entities_as_of : AsOf, optional
        What may be known of entities, if that is not the same.
    """
    events = list(dict.fromkeys(plan.event for plan in plans))
    entities = list(dict.fromkeys(name for plan in plans for name in plan.entities))
    given = (project, stores, purpose, as_of, events)
    with relations(*given, leaves=leaves, after_offset=after_offset) as connection:
        known = as_of
        if entities_as_of is not None:
            known = entities_as_of
        hold_timelines(connection, project, stores, purpose, entities, known)
        yield connection


def matured(
    times: pa.ChunkedArray, metrics: Iterable[MetricDefinition], now: datetime
) -> pa.ChunkedArray:
    """Say which rows have had the whole maturity of every metric since their time."""
    latest = now.astimezone(UTC)
    spans = [one.matures.timedelta for one in metrics if one.matures is not None]
    if spans:
        latest -= max(spans)
    return pc.less_equal(times, pa.scalar(latest, pa.timestamp("us", "UTC")))


def states_by_row(
    connection: duckdb.DuckDBPyConnection, plans: Sequence[Plan], spine: pa.Table, currency: str
) -> dict[str, Whole]:
    """Count every metric of some plans for each row of a spine, in whole numbers.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has a relation for each plan's event and entities, narrowed to what may be read.
    plans : sequence of Plan
    spine : pyarrow.Table
        The columns that the plans join by, and ``time``.
    currency : str

    Returns
    -------
    dict of str to numpy.ndarray of whole numbers
        Metric -> its states, in the order of the spine's rows.

    Raises
    ------
    Refused
        If money in another currency would have to be mixed in.
    """
    rows = pa.array(np.arange(spine.num_rows))
    asked_at = microseconds(spine.column("time"))
    states: dict[str, Whole] = {}
    connection.register("_spine", spine.append_column("_row", rows))
    try:
        for plan in plans:
            check_currency(connection, plan.event, plan.money, currency)
            found = exact_states(connection, plan.event, plan.sql)
            states |= states_of(found, plan.counted, asked_at)
    finally:
        connection.unregister("_spine")
    return states
