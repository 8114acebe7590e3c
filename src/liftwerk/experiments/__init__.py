"""What an action adds: who is kept out of it, so that the difference can be measured.

Who gets which arm, and who is in the global holdout (``[goal] holdout`` and ``salt``), is a pure
function of the salt and the unit, so that every process, every language and every year gives the
same answer and nothing has to be stored; that it was given is an event. Experiments are registered,
started and read here, and what they showed goes to the effect register. What customers are told by
a policy is left to `decisions`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["held_out", "held_out_many", "position", "unit_text"]

__getattr__ = attach(__name__, dict.fromkeys(__all__, "liftwerk.experiments.assign"))
