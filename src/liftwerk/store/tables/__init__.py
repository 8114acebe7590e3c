"""Tables: versioned Parquet files in which admitted events rest for reading.

A version is returned only once all its bytes are on the disk, so that the ledger's snapshot can
name it. What the columns mean, and who may read them, is left to the events room.
"""

from liftwerk.store.tables.protocol import PARTITION, Deletion, Tables

TABLES = {"delta": "liftwerk.store.tables.kinds.delta:DeltaTables"}
"""URL scheme -> where the kind is; one line a kind."""

__all__ = ["PARTITION", "TABLES", "Deletion", "Tables"]
