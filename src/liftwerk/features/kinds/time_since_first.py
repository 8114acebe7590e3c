"""``time_since_first``: days from the first event to the as-of time, with their fraction."""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import (
    DAY,
    Aggregate,
    Expression,
    Operand,
    Prior,
    Ratio,
    Rows,
)


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    return {"time": rows.time.min(where=rows.kept)}


def _ratio(_operand: Operand, _prior: Prior) -> Ratio:
    return Ratio("time", DAY, since=True)


TIME_SINCE_FIRST = Aggregate("time_since_first", {"time": "least"}, _prepare, _ratio)
