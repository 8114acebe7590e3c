"""Proofs and rights: taking a customer out of everything, and showing that nothing is left.

What is kept where is said by each room's collections in the catalogue of the store; this room walks
through them. It also makes and ends the keys by which others may write.
"""

from __future__ import annotations

from liftwerk.lazy import attach

# `erase` and `prove` are imported from their files, whose names they have.
__all__ = ["Erased", "Find", "KeyRing", "create_key", "fill_catalogue"]

_WHERE = {
    "Erased": "liftwerk.governance.erase",
    "Find": "liftwerk.governance.prove",
    "KeyRing": "liftwerk.governance.key_ring",
    "create_key": "liftwerk.governance.keys",
    "fill_catalogue": "liftwerk.governance.catalogue",
}

__getattr__ = attach(__name__, _WHERE)
