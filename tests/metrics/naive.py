"""Metrics by their definition, in plain Python: one decision, one outcome at a time.

The oracle of the compiled SQL. Written from the definition alone: slow, exact and obvious.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from liftwerk.metrics.definition import MetricDefinition


@dataclass(frozen=True)
class Decision:
    id: bytes
    customer: bytes
    time: int
    action: str


@dataclass(frozen=True)
class Outcome:
    customer: bytes
    time: int
    trust: str = "server"
    decision: bytes | None = None
    weight: float = 1.0
    synthetic: bool = False
    modelled: bool = False
    revenue: int | None = None
    items: int | None = None
    score: float | None = None


def value(
    metric: MetricDefinition,
    outcomes: list[Outcome],
    decision: Decision,
    costs: dict[str, Decimal],
) -> float:
    """Return what one decision earned; revenue is in minor units of two decimals."""
    total = Fraction(0)
    for outcome in outcomes:
        if outcome.trust not in ("server", "import") or outcome.synthetic or outcome.modelled:
            continue
        if outcome.decision is not None:
            if outcome.decision != decision.id:
                continue
        elif outcome.customer != decision.customer:
            continue
        after = outcome.time - decision.time
        if not 0 < after <= metric.within.microseconds:
            continue
        weight = Fraction(outcome.weight)
        if metric.aggregate == "any":
            total = Fraction(1)
        elif metric.aggregate == "count":
            total += weight
        elif metric.property == "revenue":
            total += Fraction(outcome.revenue or 0, 100) * weight
        else:
            assert metric.property is not None
            total += Fraction(getattr(outcome, metric.property) or 0) * weight
    if metric.multiply is not None:
        total *= metric.multiply.exact
    if metric.subtract is not None:
        total -= Fraction(costs[decision.action])
    return float(total)
