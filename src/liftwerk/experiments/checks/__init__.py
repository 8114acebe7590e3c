"""What would spoil an experiment's answer, looked for before the answer is given.

One file a check: a function of the `Evidence` that says ``ok``, ``alarm`` or ``unknown`` in one
plain sentence. `CHECKS` is the list, in the order in which they are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from liftwerk.experiments.checks import (
    carry_over,
    empty_arm,
    exposure,
    history,
    mixing,
    novelty,
    registration,
    sample_ratio,
)
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.reading import Check, State

CHECKS: Mapping[str, Callable[[Evidence], tuple[State, str]]] = {
    "sample ratio": sample_ratio.check,
    "empty arm": empty_arm.check,
    "exposure imbalance": exposure.check,
    "A/A on history": history.check,
    "carry-over": carry_over.check,
    "novelty": novelty.check,
    "identity mixing": mixing.check,
    "registration": registration.check,
}
"""Name -> what looks for it."""


def run_checks(evidence: Evidence) -> tuple[Check, ...]:
    """Run every check.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    tuple of Check
    """
    return tuple(Check(name, *check(evidence)) for name, check in CHECKS.items())
