"""``time_since``: days from the last event to the as-of time, with their fraction."""

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
    return {"time": rows.time.max(where=rows.kept)}


def _ratio(_operand: Operand, _prior: Prior) -> Ratio:
    return Ratio("time", DAY, since=True)


TIME_SINCE = Aggregate("time_since", {"time": "greatest"}, _prepare, _ratio)
