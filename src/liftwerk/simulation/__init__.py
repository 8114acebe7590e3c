"""Worlds with known truth, seeded.

A leaf: tests, soak, benchmarks, examples, `loop` and `cli` see it, and nothing here is used to
make a decision. Every generator is frozen, by the hash of its file, before a method is judged in
it, and each family has a world where nothing works and one where acting harms.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["World", "world"]

_WHERE = {
    "World": "liftwerk.simulation.email_trial",
    "world": "liftwerk.simulation.email_trial",
}

__getattr__ = attach(__name__, _WHERE)
