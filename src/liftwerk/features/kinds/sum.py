"""``sum``: a property added up, each event with its weight; exact, in whole numbers.

Money is added up in minor units, and a number in billionths.
"""

from __future__ import annotations

from liftwerk.features.kinds.aggregate import NUMBER_SCALE, WEIGHT_SCALE, Aggregate, Operand


def weighted_sum(operand: Operand, value: str, kept: str) -> str:
    """Write the exact sum of a property as SQL; `sum_divisor` makes it a float."""
    whole = f"CAST({value} AS HUGEINT)"
    if operand.type == "number":
        whole = f"CAST(round({value} * {NUMBER_SCALE}) AS HUGEINT)"
    return f"sum({whole} * weight) FILTER (WHERE {kept})"


def sum_divisor(operand: Operand) -> int:
    """Return what the exact sum is divided by."""
    if operand.type == "number":
        return WEIGHT_SCALE * NUMBER_SCALE
    return WEIGHT_SCALE * operand.scale


SUM = Aggregate("sum", True, weighted_sum, sum_divisor, 0.0)
