"""What customers agreed to: read as it comes, kept as state in the event, changed, and shown.

`resolve` turns what an event says (purposes, a TCF string, Google's consent mode) into one form,
by the project's ``[consent]``; `change` tells a new state as an event, `history` shows what was
said and what holds, `gaps` counts the events that say nothing. Whether an event may be read is
not decided here, but in `liftwerk.privacy`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["CONSENT", "change_consent", "consent_gaps", "consent_history", "consent_state"]

_WHERE = {
    "CONSENT": "liftwerk.events.consent.definition",
    "change_consent": "liftwerk.events.consent.change",
    "consent_gaps": "liftwerk.events.consent.gaps",
    "consent_history": "liftwerk.events.consent.history",
    "consent_state": "liftwerk.events.consent.history",
}

__getattr__ = attach(__name__, _WHERE)
