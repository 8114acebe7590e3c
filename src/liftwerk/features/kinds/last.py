"""``last``: the last known value of a property.

The latest event that says anything about the property counts: an event that leaves the property
out doesn't make it unknown. Events of the same microsecond are ordered by their offset.
"""

from __future__ import annotations

from liftwerk.features.kinds.aggregate import Aggregate, Operand


def _sql(_operand: Operand, value: str, kept: str) -> str:
    return f'last({value} ORDER BY time, "offset") FILTER (WHERE {kept} AND {value} IS NOT NULL)'


def _divisor(operand: Operand) -> int | None:
    if operand.type == "money":
        return operand.scale
    return None


LAST = Aggregate("last", True, _sql, _divisor, None)
