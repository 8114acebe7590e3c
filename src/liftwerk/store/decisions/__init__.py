"""Decisions: the record of each choice, and the guardrails that it had to pass.

Reserving a budget or a contact and recording the decision are one transaction. Which guardrails a
placement has, and what is tried after one blocks, is left to the decisions room.
"""

from liftwerk.store.decisions.protocol import (
    BudgetReservation,
    DecisionRecord,
    Decisions,
    FrequencyReservation,
    Reservation,
    Verdict,
)

DECISIONS = {"sqlite": "liftwerk.store.decisions.kinds.sqlite:SqliteDecisions"}
"""URL scheme -> where the kind is; one line a kind."""

__all__ = [
    "DECISIONS",
    "BudgetReservation",
    "DecisionRecord",
    "Decisions",
    "FrequencyReservation",
    "Reservation",
    "Verdict",
]
