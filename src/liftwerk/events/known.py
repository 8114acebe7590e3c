"""When the last thing was learnt that the log tells of: later than now, where a file said so."""

from __future__ import annotations

from datetime import datetime

import pyarrow.parquet as pq

from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

_COLUMN = "known_at"


def is_known_by(stores: Stores, snapshot: Snapshot | None, time: datetime) -> bool:
    """Say whether all that a snapshot holds was known by a time.

    What was imported may be declared to be known some days after it happened, and so later than it
    was imported. Only the files' own summaries are looked at.

    Parameters
    ----------
    stores : Stores
        Its tables are held: see `liftwerk.store.tables.Tables.reading`.
    snapshot : Snapshot or None
    time : datetime
        With its zone.
    """
    if snapshot is None:
        return True
    return all(
        _is_file_known_by(file, time)
        for name, version in snapshot.tables.items()
        for file in stores.tables.files(name, version)
    )


def _is_file_known_by(file: str, time: datetime) -> bool:
    summary = pq.read_metadata(file)
    names = summary.schema.to_arrow_schema().names
    if _COLUMN not in names:
        return True
    place = names.index(_COLUMN)
    for group in range(summary.num_row_groups):
        found = summary.row_group(group).column(place).statistics
        if found is None or not found.has_min_max or found.max > time:
            return False
    return True
