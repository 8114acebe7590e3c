"""How much there is to read of some events, before it is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.events.engine import connect
from liftwerk.events.schema import schema_of
from liftwerk.store.stores import Stores


class Size(Struct, frozen=True):
    """How much there is.

    Attributes
    ----------
    rows : int
        In the tables, whoever may read them.
    bytes : int
        Of the tables' files.
    waiting : int
        What is not sorted into tables yet, of all events.
    """

    rows: int
    bytes: int
    waiting: int


def size_of(project: Project, stores: Stores, names: Iterable[str]) -> Size:
    """Say how much there is of some events; what the files say of themselves is read, no row.

    Parameters
    ----------
    project : Project
    stores : Stores
    names : iterable of str
        The events.
    """
    schema = schema_of(project)
    last = stores.inbox.last_offset()
    with stores.tables.reading():
        snapshot = stores.ledger.latest_snapshot()
        if snapshot is None:
            return Size(0, 0, last)
        tables = [kind.table for name in names for kind in schema.versions(name)]
        files = [
            file
            for table in tables
            if table in snapshot.tables
            for file in stores.tables.files(table, snapshot.tables[table])
        ]
        rows = 0
        if files:
            with connect() as connection:
                said = "SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata(?)"
                [(rows,)] = connection.execute(said, [files]).fetchall()
        size = sum(Path(file).stat().st_size for file in files)
    return Size(rows, size, max(0, last - snapshot.inbox_offset))
