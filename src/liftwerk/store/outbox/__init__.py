"""The outbox: how far each destination has been told, and every event that still waits for it.

An entry names an event by its offset: what may be sent of it is read from the event tables at the
moment of sending. What an event brought for its delivery alone waits beside the entries, sealed.
How to send, and when to try again, is left to `liftwerk.operations.forward`.
"""

from liftwerk.store.outbox.protocol import (
    Count,
    Entry,
    Health,
    Outbox,
    Outcome,
    Sealed,
    Settled,
    Standing,
    Waiting,
)

OUTBOXES = {"sqlite": "liftwerk.store.outbox.kinds.sqlite:SqliteOutbox"}
"""URL scheme -> where the kind is; one line a kind."""

__all__ = [
    "OUTBOXES",
    "Count",
    "Entry",
    "Health",
    "Outbox",
    "Outcome",
    "Sealed",
    "Settled",
    "Standing",
    "Waiting",
]
