"""Which events are new: one id is one event, whoever sends it and how often.

The only place that reads tables without a project's purpose: it looks at ids and digests alone,
for the built-in purpose ``deduplication``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import pyarrow

from liftwerk.events.engine import connect, text
from liftwerk.store.stores import Stores

VALUES_TABLE = "identifiers"
"""The table that remembers which identifier a leaf key was made from; the others hold events."""


class Verdict(IntEnum):
    """What an id and its content are to those that are kept."""

    NEW = 0
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
        if name != VALUES_TABLE
    }


def file_list(files: Sequence[str]) -> str:
    """Write file names as an SQL list."""
    return f"[{', '.join(text(file) for file in files)}]"


def sort_out(stores: Stores, ids: Sequence[bytes], digests: Sequence[bytes]) -> list[Verdict]:
    """Compare events with what the snapshot holds, and with those before them in the list.

    Parameters
    ----------
    stores : Stores
    ids : sequence of bytes
        n event ids, in the order of their arrival.
    digests : sequence of bytes
        Their contents' digests, from `liftwerk.events.admit.digest`.

    Returns
    -------
    list of Verdict
        n verdicts. What the tables have with the same content is `KEPT`; else the first of an id
        is `NEW`, and what has the content of the first is `REPEATED`; other content is a `CLASH`.
    """
    if not ids:
        return []
    connection = connect()
    batch = pyarrow.table(
        {
            "place": pyarrow.array(range(len(ids)), pyarrow.int64()),
            "id": pyarrow.array(ids, pyarrow.binary()),
            "digest": pyarrow.array(digests, pyarrow.binary()),
        }
    )
    connection.register("batch", batch)
    kept = ["SELECT id, digest FROM batch WHERE FALSE"]
    with stores.tables.reading():
        files = [file for group in event_files(stores).values() for file in group]
        if files:
            kept = [
                f"SELECT id, digest FROM read_parquet({file_list(files)}, union_by_name = true,"
                " hive_partitioning = false) SEMI JOIN batch USING (id)"
            ]
        rows = connection.execute(
            f"""
            WITH kept AS ({kept[0]}),
            first AS (
                SELECT id, min(place) AS place, arg_min(digest, place) AS digest
                FROM batch GROUP BY id
            )
            SELECT CASE
                WHEN kept.id IS NOT NULL AND kept.digest = batch.digest THEN {Verdict.KEPT:d}
                WHEN kept.id IS NOT NULL THEN {Verdict.CLASH:d}
                WHEN first.place = batch.place THEN {Verdict.NEW:d}
                WHEN first.digest = batch.digest THEN {Verdict.REPEATED:d}
                ELSE {Verdict.CLASH:d} END
            FROM batch JOIN first USING (id) LEFT JOIN kept ON kept.id = batch.id
            ORDER BY batch.place
            """
        ).fetchall()
    return [Verdict(verdict) for (verdict,) in rows]


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
        is derived from events.
    """
    connection = connect()
    found = {}
    with stores.tables.reading():
        for name, files in event_files(stores).items():
            [sums] = connection.execute(
                "SELECT count(*), coalesce(sum(('0x' || hex(digest))::UBIGINT::HUGEINT), 0),"
                " coalesce(sum(epoch_us(known_at)::HUGEINT), 0)"
                f" FROM read_parquet({file_list(files)}, union_by_name = true,"
                " hive_partitioning = false)"
            ).fetchall()
            found[name] = [str(number) for number in sums]
    return found
