"""Every aggregate there is: one file each, and this list.

To add one: write its file, name it here, and name it in ``liftwerk.features.definition``.
"""

from __future__ import annotations

from liftwerk.features.kinds.aggregate import Aggregate
from liftwerk.features.kinds.count import COUNT
from liftwerk.features.kinds.decayed_count import DECAYED_COUNT
from liftwerk.features.kinds.decayed_sum import DECAYED_SUM
from liftwerk.features.kinds.distinct import DISTINCT
from liftwerk.features.kinds.first import FIRST
from liftwerk.features.kinds.last import LAST
from liftwerk.features.kinds.max import MAX
from liftwerk.features.kinds.mean import MEAN
from liftwerk.features.kinds.min import MIN
from liftwerk.features.kinds.rate import RATE
from liftwerk.features.kinds.sum import SUM
from liftwerk.features.kinds.time_since import TIME_SINCE
from liftwerk.features.kinds.time_since_first import TIME_SINCE_FIRST
from liftwerk.features.kinds.top_share import TOP_SHARE

__all__ = ["AGGREGATES", "Aggregate"]

_EVERY = (
    COUNT,
    SUM,
    MEAN,
    MIN,
    MAX,
    FIRST,
    LAST,
    DISTINCT,
    TIME_SINCE,
    TIME_SINCE_FIRST,
    RATE,
    DECAYED_COUNT,
    DECAYED_SUM,
    TOP_SHARE,
)

AGGREGATES: dict[str, Aggregate] = {aggregate.name: aggregate for aggregate in _EVERY}
