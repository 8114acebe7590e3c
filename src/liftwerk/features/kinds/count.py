"""``count``: how many events there were, each counted with its weight."""

from __future__ import annotations

from liftwerk.features.kinds.aggregate import WEIGHT_SCALE, Aggregate, Operand


def _sql(_operand: Operand, _value: str, kept: str) -> str:
    return f"sum(weight) FILTER (WHERE {kept})"


def _divisor(_operand: Operand) -> int:
    return WEIGHT_SCALE


COUNT = Aggregate("count", False, _sql, _divisor, 0.0)
