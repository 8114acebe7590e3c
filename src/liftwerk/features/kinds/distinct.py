"""``distinct``: how many different values a property had, whatever the events' weights."""

from __future__ import annotations

from liftwerk.features.kinds.aggregate import Aggregate, Operand, Prior, Ratio
from liftwerk.features.kinds.last import SCALAR


def _ratio(_operand: Operand, _prior: Prior) -> Ratio:
    return Ratio("n")


DISTINCT = Aggregate("distinct", {"values": "by_value"}, None, _ratio, types=SCALAR, empty=0.0)
