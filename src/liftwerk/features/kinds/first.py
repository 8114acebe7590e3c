"""``first``: the first value of a property that is known, by the events' times."""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import Aggregate, Expression, Operand, Prior, Ratio, Rows
from liftwerk.features.kinds.last import SCALAR, money_ratio


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    assert rows.value is not None
    return {
        "value": rows.value.argmin(rows.key, where=rows.said),
        "value_key": rows.key.min(where=rows.said),
    }


def _ratio(operand: Operand, _prior: Prior) -> Ratio | None:
    return money_ratio(operand)


FIRST = Aggregate("first", {"value": "earliest"}, _prepare, _ratio, types=SCALAR)
