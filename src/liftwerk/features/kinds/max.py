"""``max``: the largest value of a property, whatever the events' weights."""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import Aggregate, Expression, Operand, Prior, Ratio, Rows
from liftwerk.features.kinds.last import money_ratio

ORDERED = ("integer", "number", "money")


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    assert rows.value is not None
    return {"value": rows.value.max(where=rows.kept)}


def _ratio(operand: Operand, _prior: Prior) -> Ratio | None:
    return money_ratio(operand)


MAX = Aggregate("max", {"value": "greatest"}, _prepare, _ratio, types=ORDERED)
