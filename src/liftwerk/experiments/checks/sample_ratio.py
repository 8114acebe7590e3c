"""Sample-ratio mismatch: arms that have not as many units as the lot gave them.

Units are then lost or told twice on the way, and nobody knows which: nothing that is read of the
rest is about the arms. The test holds at every look together, so that it may ring while it runs.
"""

from __future__ import annotations

from liftwerk.amounts import number
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.reading import State
from liftwerk.stats.sample_ratio import at_any_time

RINGS = 0.001
"""Below this p-value, over all looks together, it rings."""

LOOKED_FOR = (100, 1_000, 10_000)
"""Large mismatches are seen among few units, small ones only among many: each is looked for, and
Bonferroni pays for it."""


def check(evidence: Evidence) -> tuple[State, str]:
    """Say whether arms have as many units as they should."""
    return judged(evidence.counts, evidence.shares)


def mismatch(counts: list[int], shares: list[float]) -> float:
    """Give a p-value that holds at every look together, whatever the size of the mismatch.

    Examples
    --------
    >>> mismatch([750, 450], [0.5, 0.5]) < 1e-9, mismatch([1000, 1010], [0.5, 0.5])
    (True, 1.0)
    """
    least = min(at_any_time(counts, shares, looked_for) for looked_for in LOOKED_FOR)
    return min(1.0, len(LOOKED_FOR) * least)


def judged(counts: dict[str, int], shares: list[float]) -> tuple[State, str]:
    """Say whether counts go with shares.

    Parameters
    ----------
    counts : dict of str to int
        Arm -> its units.
    shares : list of float
        In the same order.

    Examples
    --------
    >>> judged({"nothing": 1000, "voucher": 1010}, [0.5, 0.5])
    ('ok', 'Arms have as many units as they should: nothing 1,000, voucher 1,010 (p 1).')
    >>> judged({"nothing": 1000, "voucher": 1500}, [0.5, 0.5])[1]
    'voucher has 1,500 units where 1,250 were to be expected (p <0.001): some are lost or doubled.'
    """
    total = sum(counts.values())
    if total == 0:
        return "unknown", "No unit was assigned yet."
    found = list(counts.values())
    p = mismatch(found, shares)
    if p >= RINGS:
        told = ", ".join(f"{arm} {number(many)}" for arm, many in counts.items())
        return "ok", f"Arms have as many units as they should: {told} (p {p:.2g})."
    expected = dict(zip(counts, (share * total for share in shares), strict=True))
    worst = max(counts, key=lambda arm: abs(counts[arm] - expected[arm]) / expected[arm] ** 0.5)
    if len(counts) == 2:
        worst = list(counts)[1]
    have = f"{worst} has {number(counts[worst])} units where {number(expected[worst])} were"
    return "alarm", f"{have} to be expected (p <{RINGS:g}): some are lost or doubled."
