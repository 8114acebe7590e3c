"""Novelty: an effect that comes soon after the assignment and is gone later."""

from __future__ import annotations

import numpy as np

from liftwerk.amounts import ranged
from liftwerk.experiments.checks.evidence import Evidence, Floats
from liftwerk.experiments.reading import State
from liftwerk.stats.difference import contrast
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.moments import Moments

FIRST = 0.5
"""The part of the metric's window that is held against the rest."""


def check(evidence: Evidence) -> tuple[State, str]:
    """Say whether the effect on the first metric fades within its window."""
    question = evidence.questions[0]
    if question.kind == "ratio":
        return "unknown", f"{question.metric} is a ratio, which does not add up over time."
    if len(evidence.units) == 0:
        return "unknown", "No unit has matured yet."
    early, late = evidence.halves(question.metric, FIRST)
    for place, arm in enumerate(evidence.units.arms[1:], start=1):
        soon, later, fades = (
            _effect(evidence, values, place) for values in (early, late, early - late)
        )
        if isinstance(fades, Unknown) or isinstance(soon, Unknown) or isinstance(later, Unknown):
            return "unknown", f"Too little is known of {question.metric} in half of its window."
        same_way = np.sign(fades.value) == np.sign(soon.value)
        if same_way and not fades.low <= 0.0 <= fades.high and later.low <= 0.0 <= later.high:
            told = ranged(soon.value, soon.low, soon.high, question.unit)
            label = evidence.label(arm)
            return "alarm", f"The effect of {label} comes in the first half ({told}) and fades."
    return "ok", f"The effect on {question.metric} does not fade within its window."


def _effect(evidence: Evidence, values: Floats, place: int) -> Estimate | Unknown:
    arm, how = evidence.units.arm, evidence.how
    control, treated = (Moments.of([values[arm == one]]) for one in (0, place))
    found = contrast(
        "mean", control, treated, method=how.method, tuned_for=how.tuned_for, level=how.level
    )
    if isinstance(found, Unknown):
        return found
    return found.read(how.level).absolute
