"""Which events are new: one id is one event, whoever sends it and how often.

The only place that reads tables without a project's purpose: it looks at ids and digests alone,
for the built-in purpose ``deduplication``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import pyarrow

from liftwerk.events.admit import digest
from liftwerk.events.engine import connect, text
from liftwerk.store.stores import Stores

VALUES_TABLE = "identifiers"
"""The table that remembers which identifier a leaf key was made from."""

ENTITY_TABLE = "_entity"
"""Ending of the tables that hold reference data; those of events end in their version."""


class Verdict(IntEnum):
    """What an id that isn't new is, with its content, to those before it."""

    REPEATED = 1
    KEPT = 2
    CLASH = 3


def event_files(stores: Stores) -> dict[str, list[str]]:
    """Return the files of every event table of the latest snapshot, by table."""
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return {}
    return {
        name: stores.tables.files(name, version)
        for name, version in sorted(snapshot.tables.items())
        if name != VALUES_TABLE and not name.endswith(ENTITY_TABLE)
    }


def parquet(files: Sequence[str]) -> str:
    """Write some files as one SQL relation; a column that one of them lacks is null there."""
    listed = ", ".join(text(file) for file in files)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def sort_out(stores: Stores, ids: Sequence[bytes], bodies: Sequence[bytes]) -> dict[int, Verdict]:
    """Compare events with what the snapshot holds, and with those before them in the list.

    Parameters
    ----------
    stores : Stores
    ids : sequence of bytes
        n event ids, in the order of their arrival.
    bodies : sequence of bytes
        Their canonical JSON.

    Returns
    -------
    dict of int to Verdict
        Place in the list -> verdict, of all that aren't new. What the tables have with the same
        content is `KEPT`; else the first of an id is new, and what has the content of the first is
        `REPEATED`; other content is a `CLASH`.
    """
    if not ids:
        return {}
    connection = connect()
    places = pyarrow.array(range(len(ids)), pyarrow.int64())
    batch = pyarrow.table({"place": places, "id": pyarrow.array(ids, pyarrow.binary())})
    connection.register("batch", batch)
    kept = "SELECT NULL::BLOB AS id, NULL::BLOB AS digest WHERE FALSE"
    with stores.tables.reading():
        files = [file for group in event_files(stores).values() for file in group]
        if files:
            kept = f"SELECT id, digest FROM {parquet(files)} SEMI JOIN batch USING (id)"
        rows = connection.execute(
            f"""
            WITH kept AS ({kept}),
            first AS (SELECT id, min(place) AS place FROM batch GROUP BY id)
            SELECT batch.place, first.place, kept.digest
            FROM batch JOIN first USING (id) LEFT JOIN kept ON kept.id = batch.id
            WHERE kept.id IS NOT NULL OR first.place < batch.place
            ORDER BY batch.place
            """
        ).fetchall()
    verdicts = {}
    for place, first, known in rows:
        content = digest(bodies[place])
        if known is not None:
            same, verdict = content == known, Verdict.KEPT
        else:
            same, verdict = content == digest(bodies[first]), Verdict.REPEATED
        if not same:
            verdict = Verdict.CLASH
        verdicts[place] = verdict
    return verdicts


def fingerprint(stores: Stores) -> dict[str, list[str]]:
    """Return what the snapshot holds, whatever way it came there.

    Parameters
    ----------
    stores : Stores

    Returns
    -------
    dict of str to list of str
        Table -> its number of rows, and sums over digests and known times. Equal contents are
        equal in every home, after any kill, in any order of arrival: use it as the input of what
        is derived from events. Test traffic is no content: nothing is derived from it.
    """
    connection = connect()
    found = {}
    with stores.tables.reading():
        for name, files in event_files(stores).items():
            [sums] = connection.execute(
                "SELECT count(*), coalesce(sum(('0x' || hex(digest))::UBIGINT::HUGEINT), 0),"
                " coalesce(sum(epoch_us(known_at)::HUGEINT), 0)"
                f" FROM {parquet(files)} WHERE NOT synthetic"
            ).fetchall()
            if sums[0]:
                found[name] = [str(number) for number in sums]
    return found
