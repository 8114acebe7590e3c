"""``max``: the largest value of a property, whatever the events' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from liftwerk.features.kinds.aggregate import Aggregate, Operand, Prior, Ratio, Rows
from liftwerk.features.kinds.last import money_ratio

if TYPE_CHECKING:
    import ibis

ORDERED = ("integer", "number", "money")


def _prepare(rows: Rows) -> Mapping[str, ibis.Value]:
    assert rows.value is not None
    return {"value": rows.value.max(where=rows.kept)}


def _ratio(operand: Operand, _prior: Prior) -> Ratio | None:
    return money_ratio(operand)


MAX = Aggregate("max", {"value": "greatest"}, _prepare, _ratio, types=ORDERED)
