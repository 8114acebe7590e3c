"""``decayed_count``: how many events, each counted half after each ``half_life``.

It decays like a ``decayed_sum``, in which each event is worth 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import (
    DECAY_BITS,
    WEIGHT_SCALE,
    Aggregate,
    Expression,
    Operand,
    Prior,
    Ratio,
    Rows,
)


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    weight = rows.weight.cast("decimal(38, 0)")
    if rows.decay is not None:
        weight = weight * rows.decay
    return {"weight": weight.sum(where=rows.kept)}


def _ratio(_operand: Operand, _prior: Prior) -> Ratio:
    return Ratio("weight", WEIGHT_SCALE << DECAY_BITS)


DECAYED_COUNT = Aggregate(
    "decayed_count", {"weight": "add"}, _prepare, _ratio, empty=0.0, decays=True
)
