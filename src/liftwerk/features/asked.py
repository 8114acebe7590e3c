"""What questions may see: the events of an entity, so that each question finds its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from liftwerk.definitions.project import Project
from liftwerk.features.entity import CUSTOMER
from liftwerk.identity.history import histories
from liftwerk.identity.resolve import relations
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores


@contextmanager
def opened(
    project: Project,
    stores: Stores,
    entity: str,
    spine: pa.Table,
    purpose: str,
    as_of: AsOf,
    names: Sequence[str],
) -> Iterator[tuple[duckdb.DuckDBPyConnection, pa.Table]]:
    """Open events for questions about one entity, every report of a conversion among them.

    Parameters
    ----------
    project : Project
    stores : Stores
    entity : str
        Whom or what the questions are about.
    spine : pyarrow.Table
        ``time``, and the columns of the entity's key.
    purpose : str
    as_of : AsOf
        What may be known at all.
    names : sequence of str
        The events.

    Yields
    ------
    connection : duckdb.DuckDBPyConnection
        Its views have the events' names.
    spine : pyarrow.Table
        The questions, with what the views' rows are to be joined by. Who a customer was is a matter
        of time, and was looked up; what a row says of anything else is not.
    """
    if entity == CUSTOMER:
        with histories(project, stores, spine, purpose, as_of, names) as (connection, asked):
            yield connection, asked
    else:
        with relations(project, stores, purpose, as_of, names, superseded=True) as connection:
            yield connection, spine
