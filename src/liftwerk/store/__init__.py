"""Where it rests: all state the project keeps, a folder per promise, and the catalogue of it.

A home holds the inbox, the tables, the ledger, the decisions and the artefacts; each promise has a
protocol, a list of kinds, and one conformance suite that runs over them. What is acknowledged is on
the disk. What the bytes mean, who may read them, and when they are erased is left to the rooms
above.
"""

from liftwerk.lazy import attach

_WHERE = {
    "Catalogue": "liftwerk.store.catalogue",
    "Collection": "liftwerk.store.catalogue",
    "Home": "liftwerk.store.home",
    "Snapshot": "liftwerk.store.ledger",
    "Stores": "liftwerk.store.stores",
    "open_stores": "liftwerk.store.stores",
}

__all__ = ["Catalogue", "Collection", "Home", "Snapshot", "Stores", "open_stores"]

__getattr__ = attach(__name__, _WHERE)
