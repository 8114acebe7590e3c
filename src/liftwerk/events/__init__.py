"""What happened: the log of events, admitted, deduplicated, compacted, and read for a purpose.

`admit` checks bodies against the declared schema, the inbox holds them, `compact` makes them rows
of tables under one snapshot, and `read` is the one scan there is. Files and formats are left to
`liftwerk.connectors`, who a row is about to `liftwerk.identity`, what may be read for what to
`liftwerk.privacy`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = [
    "admit",
    "append_event",
    "compact",
    "fingerprint",
    "identifier_values",
    "query",
    "read",
    "relations",
    "schema_of",
]

_WHERE = {
    "admit": "liftwerk.events.admit",
    "append_event": "liftwerk.events.append",
    "compact": "liftwerk.events.compact",
    "fingerprint": "liftwerk.events.sequence",
    "identifier_values": "liftwerk.events.read",
    "query": "liftwerk.events.query",
    "read": "liftwerk.events.read",
    "relations": "liftwerk.events.read",
    "schema_of": "liftwerk.events.schema",
}

__getattr__ = attach(__name__, _WHERE)
