"""One customer, now: which action, with which probability, under which guardrails, and why.

The room masks what is not eligible, turns effects into money and money into probabilities, draws,
reserves and records in one transaction, replays a record, and says what a policy would have earned
on past decisions. Who may be read for what is left to `privacy`, effects to `models`, what may go
live to `releases`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Ask", "Evaluation", "Frame", "Learned", "Made", "learn_in_turn", "value_policy"]

_WHERE = {
    "Ask": "liftwerk.decisions.decide",
    "Evaluation": "liftwerk.decisions.evaluate",
    "Frame": "liftwerk.decisions.frame",
    "Learned": "liftwerk.decisions.learned",
    "Made": "liftwerk.decisions.decide",
    "learn_in_turn": "liftwerk.decisions.learn",
    "value_policy": "liftwerk.decisions.value",
}

__getattr__ = attach(__name__, _WHERE)
