"""Which identifiers are one customer, since when, and known since when.

Rows of events hold a leaf key for each identifier; this room says whose they are, and adds the
``customer`` to what is read. Spelling and hashing an identifier belong to `liftwerk.events`, where
the envelope is; erasing a customer to `liftwerk.governance`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = [
    "customer_of",
    "customer_sql",
    "leaves_of",
    "names_of",
    "query",
    "read",
    "relations",
]

_WHERE = dict.fromkeys(__all__, "liftwerk.identity.resolve")

__getattr__ = attach(__name__, _WHERE)
