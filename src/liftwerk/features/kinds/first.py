"""``first``: the first value of a property that is known, by the events' times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from liftwerk.features.kinds.aggregate import Aggregate, Operand, Prior, Ratio, Rows
from liftwerk.features.kinds.last import SCALAR, money_ratio

if TYPE_CHECKING:
    import ibis


def _prepare(rows: Rows) -> Mapping[str, ibis.Value]:
    assert rows.value is not None
    return {
        "value": rows.value.argmin(rows.key, where=rows.said),
        "value_key": rows.key.min(where=rows.said),
    }


def _ratio(operand: Operand, _prior: Prior) -> Ratio | None:
    return money_ratio(operand)


FIRST = Aggregate("first", {"value": "earliest"}, _prepare, _ratio, types=SCALAR)
