"""``top_share``: the share of the events that the most frequent value of a property has.

1 for somebody who always buys of one category. A prior draws it towards a share, as in ``rate``.
"""

from __future__ import annotations

from liftwerk.features.kinds.aggregate import Aggregate, Operand, Prior, Ratio
from liftwerk.features.kinds.last import SCALAR


def _ratio(_operand: Operand, prior: Prior) -> Ratio:
    return Ratio("top", denominator="total", plus=prior.hits, below=prior.weight)


TOP_SHARE = Aggregate("top_share", {"values": "by_value"}, None, _ratio, types=SCALAR)
