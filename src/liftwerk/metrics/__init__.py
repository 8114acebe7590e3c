"""Every number that counts, defined once and counted for each decision.

The room compiles a metric's definition to SQL over what may be read of its event, credits outcomes
to decisions within their window, and keeps money in whole numbers until one last division. What the
numbers say about a policy, with which interval, is left to `stats` and `decisions`.
"""

from __future__ import annotations

from liftwerk.lazy import attach

__all__ = ["compile_metrics", "per_decision"]

_WHERE = {
    "compile_metrics": "liftwerk.metrics.compile",
    "per_decision": "liftwerk.metrics.count",
}

__getattr__ = attach(__name__, _WHERE)
