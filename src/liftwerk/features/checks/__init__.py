"""Data checks: one engine for tables, for values that are kept ready, and for the events.

Every kind is a pure rule over statistics, and all that is asked of one relation is one scan of it.
A view whose values fail a check that stops stays at its last good state, flagged. Which values
there are is left to the room around this one.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["Finding", "Flag", "Scan", "accept", "check_features", "run_checks", "take_baseline"]

_WHERE = {
    "Finding": "liftwerk.features.checks.finding",
    "Flag": "liftwerk.features.served",
    "Scan": "liftwerk.features.checks.scan",
    "accept": "liftwerk.features.checks.accept",
    "check_features": "liftwerk.features.checks.values",
    "run_checks": "liftwerk.features.checks.check",
    "take_baseline": "liftwerk.features.checks.check",
}

__getattr__ = attach(__name__, _WHERE)
