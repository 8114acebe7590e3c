"""Arms that take turns in time: when which block begins, how long it takes, and what came out.

A block is a stretch of the project's local time; the lot gives it its arm as it gives one to any
unit (`draw`, `give`). Outcomes come as a table of periods, each as short as a block or shorter.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Reading", "block_at", "read_switchback", "schedule"]

_WHERE = {
    "Reading": "liftwerk.experiments.switchback.read",
    "block_at": "liftwerk.experiments.switchback.blocks",
    "read_switchback": "liftwerk.experiments.switchback.read",
    "schedule": "liftwerk.experiments.switchback.turns",
}

__getattr__ = attach(__name__, _WHERE)
