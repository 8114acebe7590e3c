"""``min``: the smallest value of a property, whatever the events' weights."""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import Aggregate, Expression, Operand, Prior, Ratio, Rows
from liftwerk.features.kinds.last import money_ratio

ORDERED = ("integer", "number", "money")


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    assert rows.value is not None
    return {"value": rows.value.min(where=rows.kept)}


def _ratio(operand: Operand, _prior: Prior) -> Ratio | None:
    return money_ratio(operand)


MIN = Aggregate("min", {"value": "least"}, _prepare, _ratio, types=ORDERED)
