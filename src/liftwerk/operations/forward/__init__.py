"""Telling other systems what happened: at least once, in each customer's order, never against a no.

The log is the queue: a destination has a position in it and an outbox for what was taken and is
not through yet. `take` moves the position, `deliver` empties the outbox, `run` does both for every
destination at once, and `status` says how it goes.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["dead_letters", "forward", "replay", "status"]

_WHERE = {
    "dead_letters": "liftwerk.operations.forward.letters",
    "forward": "liftwerk.operations.forward.run",
    "replay": "liftwerk.operations.forward.letters",
    "status": "liftwerk.operations.forward.report",
}

__getattr__ = attach(__name__, _WHERE)
