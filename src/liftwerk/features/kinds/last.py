"""``last``: the last known value of a property.

The latest event that says anything about the property counts: an event that leaves the property
out doesn't make it unknown. Events of the same microsecond are ordered by their offset.
"""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import Aggregate, Expression, Operand, Prior, Ratio, Rows

SCALAR = ("string", "integer", "number", "boolean", "money", "time")


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    assert rows.value is not None
    return {
        "value": rows.value.argmax(rows.key, where=rows.said),
        "value_key": rows.key.max(where=rows.said),
    }


def money_ratio(operand: Operand) -> Ratio | None:
    """Return how one value is told: money in units, anything else as it is."""
    if operand.type == "money":
        return Ratio("value", operand.scale)
    return None


def _ratio(operand: Operand, _prior: Prior) -> Ratio | None:
    return money_ratio(operand)


LAST = Aggregate("last", {"value": "latest"}, _prepare, _ratio, types=SCALAR)
