"""Which events are new: one id is one event, whoever sends it and how often.

The only place that reads tables without a project's purpose: it looks at ids and digests alone,
for the built-in purpose ``deduplication``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

import pyarrow
import pyarrow.compute

from liftwerk.events.engine import connect, connect_for_few, text
from liftwerk.store.ids import Keys, keys_of, keys_of_digests
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

VALUES_TABLE = "identifiers"
"""The table that remembers which identifier a leaf key was made from."""

ENTITY_TABLE = "_entity"
"""Ending of the tables that hold reference data; those of events end in their version."""

PART = 500_000
"""Ids that are read from tables at once."""

BINARY = pyarrow.binary()

_UNKNOWN = "unhex('0000000000000000')"


class Verdict(IntEnum):
    """What an id that isn't new is, with its content, to those before it."""

    REPEATED = 1
    KEPT = 2
    CLASH = 3


class Beside(NamedTuple):
    """Events that are known beside the tables: every new one behind an offset, up to another.

    ``events`` has their ``id`` and ``digest``.
    """

    since: int
    upto: int
    events: pyarrow.Table


def event_files(stores: Stores) -> dict[str, list[str]]:
    """Return the files of every event table of the latest snapshot that has any, by table."""
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return {}
    every = {
        name: stores.tables.files(name, version)
        for name, version in sorted(snapshot.tables.items())
        if name != VALUES_TABLE and not name.endswith(ENTITY_TABLE)
    }
    # An erasure may leave a table without rows.
    return {name: files for name, files in every.items() if files}


def parquet(files: Sequence[str]) -> str:
    """Write some files as one SQL relation; a column that one of them lacks is null there."""
    listed = ", ".join(text(file) for file in files)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def identifiers(stores: Stores, snapshot: Snapshot | None) -> str:
    """Write which identifiers leaf keys were made from as one SQL relation.

    ``leaf``, ``namespace`` and ``value``; empty where there never was one, or all were erased.
    """
    files: list[str] = []
    if snapshot is not None and VALUES_TABLE in snapshot.tables:
        files = stores.tables.files(VALUES_TABLE, snapshot.tables[VALUES_TABLE])
    if not files:
        return "(SELECT NULL::BLOB AS leaf, '' AS namespace, '' AS value WHERE FALSE)"
    return parquet(files)


def sort_out(
    stores: Stores,
    ids: Sequence[bytes],
    digests: Sequence[bytes],
    beside: Beside | None = None,
) -> dict[int, Verdict]:
    """Compare events with what the snapshot holds, and with those before them in the list.

    Parameters
    ----------
    stores : Stores
    ids : sequence of bytes
        n event ids, in the order of their arrival.
    digests : sequence of bytes
        `liftwerk.events.admit.digest` of each.
    beside : Beside, optional
        What came before them and is not in the tables yet.

    Returns
    -------
    dict of int to Verdict
        Place in the list -> verdict, of all that aren't new. What is known with the same content
        is `KEPT`; else the first of an id is new, and what has the content of the first is
        `REPEATED`; other content is a `CLASH`. Of what an erasure spared (`liftwerk.events.spared`)
        the content is known no longer: whatever comes under its id is `KEPT`.
    """
    if not ids:
        return {}
    places = pyarrow.array(range(len(ids)), pyarrow.int64())
    known = pyarrow.table({"id": pyarrow.array([], BINARY), "digest": pyarrow.array([], BINARY)})
    if beside is not None:
        known = beside.events
    batch = pyarrow.table(
        {
            "place": places,
            "id": pyarrow.array(ids, BINARY),
            "digest": pyarrow.array(digests, BINARY),
        }
    )
    with connect_for_few() as connection:
        connection.register("batch", batch)
        connection.register("tables", _kept(stores, batch, beside))
        connection.register("beside", known)
        rows = connection.execute(
            """
            WITH first AS (SELECT id, min(place) AS place FROM batch GROUP BY id),
            kept AS (
                SELECT id, digest FROM tables
                UNION SELECT id, digest FROM beside SEMI JOIN batch USING (id)
            )
            SELECT batch.place,
                CASE WHEN kept.id IS NOT NULL AND kept.digest IS NULL THEN $kept
                    WHEN batch.digest <> coalesce(kept.digest, told.digest) THEN $clash
                    WHEN kept.id IS NOT NULL THEN $kept ELSE $repeated END
            FROM batch JOIN first USING (id) JOIN batch AS told ON told.place = first.place
            LEFT JOIN kept ON kept.id = batch.id
            WHERE kept.id IS NOT NULL OR first.place < batch.place
            ORDER BY batch.place
            """,
            {"clash": Verdict.CLASH, "kept": Verdict.KEPT, "repeated": Verdict.REPEATED},
        ).fetchall()
    return {place: Verdict(verdict) for place, verdict in rows}


def _kept(stores: Stores, batch: pyarrow.Table, beside: Beside | None) -> pyarrow.Table:
    """Return those of a batch that the snapshot holds: ``id``, and its content's ``digest``."""
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        return batch.select(["id", "digest"]).slice(0, 0)
    made_of = stores.ids.snapshot
    is_of_use = made_of == snapshot.id or _is_enough(stores, made_of, snapshot, beside)
    try:
        known, contents = stores.ids.find(keys_of(batch.column("id").to_pylist()))
    except FileNotFoundError:
        is_of_use = False  # the sequencer has just put other files in their place
    if not is_of_use or stores.ids.snapshot != made_of:
        return _look(stores, batch.column("id").combine_chunks())
    found = batch.filter(pyarrow.array(known))
    digests = [one.tobytes() for one in contents[known]]
    kept = pyarrow.table({"id": found.column("id"), "digest": pyarrow.array(digests, BINARY)})
    same = pyarrow.compute.equal(kept.column("digest"), found.column("digest"))
    if pyarrow.compute.all(same, min_count=0).as_py():
        return kept
    # Other content under one key: only the tables tell whether the id is the same.
    doubtful = kept.filter(pyarrow.compute.invert(same)).column("id").combine_chunks()
    return pyarrow.concat_tables([kept.filter(same), _look(stores, doubtful)])


def _is_enough(stores: Stores, made_of: str, snapshot: Snapshot, beside: Beside | None) -> bool:
    """Say whether the ids of an older snapshot and what is beside them are all that are known.

    The ids go along a moment after the snapshot. One that ends at the same offset is not older: an
    erasure or a retention has taken rows out.
    """
    older = stores.ledger.snapshot(made_of)
    if beside is None or older is None:
        return False
    return beside.since <= older.inbox_offset < snapshot.inbox_offset <= beside.upto


def _look(stores: Stores, ids: pyarrow.Array) -> pyarrow.Table:
    connection = connect()
    connection.register("asked", pyarrow.table({"id": ids}))
    with stores.tables.reading():
        return connection.sql(
            f"SELECT id, digest FROM {_every_event(stores)} SEMI JOIN asked USING (id)"
        ).to_arrow_table()


def know_ids(stores: Stores) -> None:
    """Let the ids be those of the latest snapshot: made anew from the tables if they are not."""
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None:
        stores.ids.clear()
    elif stores.ids.snapshot != snapshot.id:
        with stores.tables.reading():
            stores.ids.remake(_ids_of(_every_event(stores)), snapshot.id)


def _every_event(stores: Stores) -> str:
    files = [file for group in event_files(stores).values() for file in group]
    if not files:
        return "(SELECT NULL::BLOB AS id, NULL::BLOB AS digest WHERE FALSE)"
    return parquet(files)


def _ids_of(events: str) -> Iterator[tuple[Keys, Keys]]:
    # Of what was spared the content is not known: another one leads back to the tables.
    sql = f"SELECT id, coalesce(digest, {_UNKNOWN}) AS digest FROM {events}"
    reader = connect().sql(sql).to_arrow_reader(PART)
    for rows in reader:
        yield (
            keys_of(rows.column("id").to_pylist()),
            keys_of_digests(rows.column("digest").to_pylist()),
        )


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
