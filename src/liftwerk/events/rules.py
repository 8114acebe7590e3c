"""What must hold between the properties of built-in events; broken, the event is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

_TOLERANCE = 1e-9
"""How far logged probabilities may be from adding up: they passed through decimal text."""


def _decision(made: Any) -> None:
    """Refuse a decision that cannot teach: what could be drawn, and how likely, must agree."""
    eligible = made.eligible_
    if len(set(eligible)) != len(eligible):
        raise ValueError("eligible names an action twice")
    if made.action_ not in eligible:
        raise ValueError("action is not eligible")
    if made.control_action_ not in eligible:
        raise ValueError("control_action is not eligible")
    probabilities = made.probabilities_
    if probabilities is None:
        return
    if len(probabilities) != len(eligible):
        raise ValueError("probabilities has not one number for each eligible action")
    if any(not 0 <= one <= 1 for one in probabilities):
        raise ValueError("probabilities are not between 0 and 1")
    if not math.isclose(math.fsum(probabilities), 1, abs_tol=_TOLERANCE):
        raise ValueError("probabilities do not add up to 1")
    drawn = probabilities[eligible.index(made.action_)]
    if not math.isclose(drawn, made.probability_, abs_tol=_TOLERANCE):
        raise ValueError("probability is not that of the action")


def _consent(change: Any) -> None:
    if set(change.granted_) & set(change.withdrawn_):
        raise ValueError("a purpose is both granted and withdrawn")


RULES: dict[str, tuple[Callable[[Any], None], ...]] = {
    "decision_made": (_decision,),
    "consent_changed": (_consent,),
}
"""Event -> what must hold; each raises `ValueError` in words that name no person."""

SERVER_ONLY = frozenset(
    {
        "decision_made",
        "decision_outcome",
        "assigned",
        "guardrail_blocked",
        "features_served",
        "message_sent",
        "identity_linked",
        "identity_unlinked",
    }
)
"""What a public key must not say: a forged probability would teach."""
