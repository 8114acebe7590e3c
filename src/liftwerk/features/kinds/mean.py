"""``mean``: the weighted mean of a property over the events that say it; one division."""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import Aggregate, Expression, Operand, Prior, Ratio, Rows
from liftwerk.features.kinds.sum import SUMMED


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    assert rows.product is not None
    assert rows.told is not None
    return {
        "sum": rows.product.sum(where=rows.kept),
        "weight": rows.told.sum(where=rows.kept),
    }


def _ratio(operand: Operand, _prior: Prior) -> Ratio:
    return Ratio("sum", operand.unit, denominator="weight")


MEAN = Aggregate("mean", {"sum": "add", "weight": "add"}, _prepare, _ratio, types=SUMMED)
