"""``sum``: a property added up, each event with its weight; exact, in whole numbers.

Money is added up in minor units, and a number in billionths.
"""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import (
    WEIGHT_SCALE,
    Aggregate,
    Expression,
    Operand,
    Prior,
    Ratio,
    Rows,
)

SUMMED = ("integer", "number", "money")
"""Types that can be added up."""


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    assert rows.product is not None
    return {"sum": rows.product.sum(where=rows.kept)}


def _ratio(operand: Operand, _prior: Prior) -> Ratio:
    return Ratio("sum", WEIGHT_SCALE * operand.unit)


SUM = Aggregate("sum", {"sum": "add"}, _prepare, _ratio, types=SUMMED, empty=0.0)
