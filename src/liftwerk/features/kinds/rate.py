"""``rate``: the share of events for which ``when`` holds, drawn towards what was believed before.

With a prior of share p that is worth m events, it is (hits + p m) / (events + m): the mean of the
beta posterior. Without one, a customer of whom nothing is known has no rate.
"""

from __future__ import annotations

from collections.abc import Mapping

from liftwerk.features.kinds.aggregate import (
    Aggregate,
    Expression,
    Operand,
    Prior,
    Ratio,
    Rows,
    both,
)


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    assert rows.hit is not None
    return {
        "hits": rows.weight.sum(where=both(rows.kept, rows.hit)),
        "weight": rows.weight.sum(where=rows.kept),
    }


def _ratio(_operand: Operand, prior: Prior) -> Ratio:
    return Ratio("hits", denominator="weight", plus=prior.hits, below=prior.weight)


RATE = Aggregate("rate", {"hits": "add", "weight": "add"}, _prepare, _ratio)
