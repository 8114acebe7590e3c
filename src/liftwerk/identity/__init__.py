"""Which identifiers are one customer, since when, and known since when.

Rows of events hold a leaf key for each identifier; this room says whose they are, and adds the
``customer`` to what is read. Links come from events that name several identifiers, and no event is
rewritten when customers are merged or told apart. Spelling and hashing an identifier belong to
`liftwerk.events`, where the envelope is; erasing a customer to `liftwerk.governance`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = [
    "customer_of",
    "customers_of",
    "histories",
    "identity_map",
    "leaves_of",
    "names_of",
    "query",
    "read",
    "relations",
]

_WHERE = {
    **dict.fromkeys(__all__, "liftwerk.identity.resolve"),
    "histories": "liftwerk.identity.history",
    "leaves_of": "liftwerk.identity.leaves",
    "identity_map": "liftwerk.identity.mapping",
}

__getattr__ = attach(__name__, _WHERE)
