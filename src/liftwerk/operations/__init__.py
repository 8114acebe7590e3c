"""How the plant is run: content-addressed steps under a lease, unchanged ones skipped.

What a step does belongs to the room that does it; which steps there are, and in what order, to
``loop``. Alarms, incidents and backups will stand here too.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Step", "StepResult", "plan_steps", "run_steps"]

_WHERE = dict.fromkeys(__all__, "liftwerk.operations.run")

__getattr__ = attach(__name__, _WHERE)
