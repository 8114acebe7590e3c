"""Exposure imbalance: an arm that units met more often than another.

Then those who met it are a choice that the arm made, and only the reading of all units counts.
"""

from __future__ import annotations

from liftwerk.amounts import share
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.reading import State
from liftwerk.stats.difference import contrast, together
from liftwerk.stats.moments import Moments

LEVEL = 0.99


def check(evidence: Evidence) -> tuple[State, str]:
    """Say whether arms were met equally often."""
    counts, exposures = evidence.counts, evidence.exposures
    if not any(exposures.values()) or not all(counts.values()):
        return "unknown", "Nothing says how often arms were met."
    met = {arm: exposures[arm] / counts[arm] for arm in counts}
    told = ", ".join(f"{evidence.label(arm)} {share(part)}" for arm, part in met.items())
    if all(part == 1.0 for part in met.values()):
        return "ok", "Every unit met its arm."
    control, *treated = (_moments(counts[arm], exposures[arm]) for arm in counts)
    tuned = evidence.how.tuned_for
    found = [contrast("proportion", control, one, tuned_for=tuned) for one in treated]
    p_values = [one.p_value for one in together(found, LEVEL)]
    if any(p is not None and p <= 1 - LEVEL for p in p_values):
        return "alarm", f"Arms were not met equally often: {told}. Trust the reading of all units."
    if all(p is None for p in p_values):
        return "unknown", f"Too few units to tell whether arms are met equally often: {told}."
    return "ok", f"Arms were met equally often: {told}."


def _moments(n: int, met: int) -> Moments:
    return Moments.from_sums(n, [met], [[met]])
