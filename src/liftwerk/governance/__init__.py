"""Proofs and rights: taking a customer out of everything, and showing that nothing is left.

What is kept where is said by each room's collections in the catalogue of the store; this room walks
through them.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Erased", "Find", "erase", "fill_catalogue", "prove"]

_WHERE = {
    "Erased": "liftwerk.governance.erase",
    "Find": "liftwerk.governance.prove",
    "erase": "liftwerk.governance.erase",
    "fill_catalogue": "liftwerk.governance.catalogue",
    "prove": "liftwerk.governance.prove",
}

__getattr__ = attach(__name__, _WHERE)
