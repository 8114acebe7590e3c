"""What happened: the log of events, admitted, deduplicated, compacted, and read for a purpose.

`admit` checks bodies against the declared schema, the inbox holds them, `compact` makes them rows
of tables under one snapshot, and `read` is the one scan there is. Files and formats are left to
`liftwerk.connectors`, who a row is about to `liftwerk.identity`, what may be read for what to
`liftwerk.privacy`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

# A journey has its file's name, so it is imported from there: `from liftwerk.events.read import
# read`. Listed here it would be hidden by the module as soon as that is loaded.
__all__ = ["append_event", "fingerprint", "identifier_values", "relations", "schema_of"]

_WHERE = {
    "append_event": "liftwerk.events.append",
    "fingerprint": "liftwerk.events.sequence",
    "identifier_values": "liftwerk.events.read",
    "relations": "liftwerk.events.read",
    "schema_of": "liftwerk.events.schema",
}

__getattr__ = attach(__name__, _WHERE)
