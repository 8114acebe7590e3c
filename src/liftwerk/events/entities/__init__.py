"""Reference data with two times: what held when, and since when we have known it.

Products with price, cost and stock, campaign spend, exchange rates. `put` adds rows and overwrites
none: a later known row with the same key and ``valid_from`` takes the earlier one's place from its
known time on. `read` and `join` ask as of a time, for a purpose. Files are left to
`liftwerk.connectors`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

# Journeys are imported from their files, whose names they have.
__all__ = ["ENTITIES", "EntityDefinition"]

_WHERE = {
    "ENTITIES": "liftwerk.events.entities.definition",
    "EntityDefinition": "liftwerk.events.entities.definition",
}

__getattr__ = attach(__name__, _WHERE)
