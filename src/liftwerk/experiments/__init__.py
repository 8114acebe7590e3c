"""What an action adds: who is kept out of it, so that the difference can be measured.

The room holds the assignment of the global holdout (``[goal] holdout`` and ``salt``): a pure
function of the salt and the unit, so that every process, every language and every year gives the
same answer and nothing has to be stored. What a held-out customer is given (the placement's control
action) is left to `decisions`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["held_out", "held_out_many", "position", "unit_text"]

__getattr__ = attach(__name__, dict.fromkeys(__all__, "liftwerk.experiments.assign"))
