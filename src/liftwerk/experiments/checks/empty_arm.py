"""An arm that nobody got, or that none of its units ever met."""

from __future__ import annotations

from liftwerk.amounts import number
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.reading import State
from liftwerk.experiments.spine import exposure_of

FEWEST = 100
"""Units of an arm after which one at least should have met it."""


def check(evidence: Evidence) -> tuple[State, str]:
    """Say whether every arm has units, and exposures where any arm has some."""
    counts, exposures = evidence.counts, evidence.exposures
    total = sum(counts.values())
    empty = [evidence.label(arm) for arm, many in counts.items() if many == 0]
    if total < FEWEST:
        return "unknown", f"Only {number(total)} units were assigned yet."
    if empty:
        names = " and ".join(empty)
        return "alarm", f"No unit was given {names}: see who assigns, then start anew."
    event = exposure_of(evidence.experiment)
    if not any(exposures.values()):
        return "unknown", f"No {event!r} says that a unit met its arm: read as assigned alone."
    unmet = [evidence.label(arm) for arm in counts if counts[arm] >= FEWEST and exposures[arm] == 0]
    if unmet:
        names = " and ".join(unmet)
        return "alarm", f"No unit of {names} met it ({event!r}): it is not shown, or not told."
    return "ok", "Every arm has units that met it."
