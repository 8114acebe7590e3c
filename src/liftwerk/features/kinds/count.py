"""``count``: how many events there were, each counted with its weight."""

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


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    return {"weight": rows.weight.sum(where=rows.kept)}


def _ratio(_operand: Operand, _prior: Prior) -> Ratio:
    return Ratio("weight", WEIGHT_SCALE)


COUNT = Aggregate("count", {"weight": "add"}, _prepare, _ratio, empty=0.0)
