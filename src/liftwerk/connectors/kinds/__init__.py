"""Formats of files, one file a kind.

Each has ``opened(path, definition, columns, scratch)``: it reads the file through, refuses what is
not whole, and returns `liftwerk.connectors.rows.Rows`.
"""

from __future__ import annotations

KINDS = {
    "csv": "liftwerk.connectors.kinds.csv",
    "parquet": "liftwerk.connectors.kinds.parquet",
    "ndjson": "liftwerk.connectors.kinds.ndjson",
}
"""Format -> its file; one line a kind."""
