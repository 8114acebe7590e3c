"""``time_since``: days from the last event to the as-of time, with their fraction."""

from __future__ import annotations

from liftwerk.features.kinds.aggregate import DAY, Aggregate, Operand


def _sql(_operand: Operand, _value: str, kept: str) -> str:
    return f"min(as_of - time) FILTER (WHERE {kept})"


def _divisor(_operand: Operand) -> int:
    return DAY


TIME_SINCE = Aggregate("time_since", False, _sql, _divisor, None)
