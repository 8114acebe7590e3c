"""Identity mixing: units that turned out to be one customer, given two arms before that was known.

They are left out. Where there are many, who is left is a choice.
"""

from __future__ import annotations

from liftwerk.amounts import number, share
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.reading import State

MOST = 0.02
"""The part of the units that may be mixed."""


def check(evidence: Evidence) -> tuple[State, str]:
    """Say how many units were mixed."""
    mixed, kept = evidence.spine.mixed, evidence.spine.table.num_rows
    if mixed + kept == 0:
        return "unknown", "No unit was assigned yet."
    if mixed == 0:
        return "ok", "No unit was found in two arms."
    part = mixed / (mixed + kept)
    told = f"{number(mixed)} units ({share(part)}) were found in two arms and are left out"
    if part > MOST:
        hint = "assign by an identifier that is there from the beginning"
        return "alarm", f"{told}: {hint}."
    return "ok", f"{told}."
