"""Every aggregate there is: one file each, and this list.

To add one: write its file, name it here, and name it in ``liftwerk.features.definition``.
"""

from __future__ import annotations

from liftwerk.features.kinds.aggregate import Aggregate
from liftwerk.features.kinds.count import COUNT
from liftwerk.features.kinds.last import LAST
from liftwerk.features.kinds.sum import SUM
from liftwerk.features.kinds.time_since import TIME_SINCE

__all__ = ["AGGREGATES", "Aggregate"]

AGGREGATES: dict[str, Aggregate] = {
    aggregate.name: aggregate for aggregate in (LAST, COUNT, SUM, TIME_SINCE)
}
