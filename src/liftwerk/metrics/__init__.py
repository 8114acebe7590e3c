"""Every number that counts, defined once and counted for each decision, unit and period.

The room compiles a metric's definition to SQL over what may be read of its event, credits outcomes
to decisions and to the units of experiments within their window, and keeps money in whole numbers
until one last division. What the numbers say about an action, with which interval, is left to
`stats`, `experiments` and `decisions`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["columns_of", "compile_metrics", "kind_of", "per_decision", "per_unit"]

_WHERE = {
    "columns_of": "liftwerk.metrics.kinds",
    "kind_of": "liftwerk.metrics.kinds",
    "per_unit": "liftwerk.metrics.units",
    "compile_metrics": "liftwerk.metrics.compile",
    "per_decision": "liftwerk.metrics.count",
}

__getattr__ = attach(__name__, _WHERE)
