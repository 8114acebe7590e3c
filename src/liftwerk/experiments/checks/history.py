"""A/A on history: the same reading of the same units before they were assigned, arms by lot.

No arm can have done anything there, so a difference is a false one. If there are more of them than
the level allows, the method does not hold on this project's data.
"""

from __future__ import annotations

import numpy as np
from scipy.special import bdtrc

from liftwerk.amounts import number, share
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.compare import outcomes
from liftwerk.experiments.reading import State
from liftwerk.stats.difference import Contrast, contrast
from liftwerk.stats.moments import Moments

SHUFFLES = 200
MOST = 20_000
"""Units that are shuffled; the first to mature."""

SEED = 20240612
RARE = 0.001
"""So many false differences or more are to be seen this seldom where the method holds."""


def check(evidence: Evidence) -> tuple[State, str]:
    """Say how often reshuffled pasts show a difference."""
    question = evidence.questions[0]
    rows = slice(0, MOST)
    arm = evidence.units.arm[rows]
    if len(arm) == 0:
        return "unknown", "No unit has matured yet."
    values = evidence.past[list(question.columns[: outcomes(question.kind)])][:, rows]
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(SHUFFLES):
        drawn = rng.permutation(arm)
        control, treated = (Moments.of(values[:, drawn == place]) for place in (0, 1))
        how = evidence.how
        one = contrast(
            question.kind,
            control,
            treated,
            method=how.method,
            tuned_for=how.tuned_for,
            level=how.level,
        )
        if isinstance(one, Contrast):
            found.append(one.p_value)
        elif not found:
            return "unknown", f"Of {question.metric} before the assignment: {one.reason}."
    alpha = 1.0 - evidence.how.level
    return judged(sum(p <= alpha for p in found), len(found), alpha, question.metric)


def judged(false: int, shuffles: int, alpha: float, metric: str) -> tuple[State, str]:
    """Say whether so many false differences are more than there may be.

    Examples
    --------
    >>> judged(9, 200, 0.05, "margin")[0], judged(30, 200, 0.05, "margin")[0]
    ('ok', 'alarm')
    """
    told = f"{share(false / shuffles)} of {number(shuffles)} reshuffled pasts"
    if bdtrc(false - 1, shuffles, alpha) >= RARE:
        return "ok", f"{told} showed a difference of {metric}: {share(alpha)} may."
    more = f"where {share(alpha)} may: intervals are too narrow on these data"
    return "alarm", f"{told} showed a difference of {metric}, {more}."
