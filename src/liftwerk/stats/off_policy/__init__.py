"""What a policy would have earned, from decisions logged under another one.

Each estimator is a file in `kinds/` and a line in `ESTIMATORS`; all take the same arrays and
return a value with one influence contribution a row, from which `stats.interval` makes an
interval. How the value of a *learned* policy may be read is written in `stats.round_robin`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from liftwerk.stats.off_policy.kinds import direct_method, doubly_robust, ips, snips
from liftwerk.stats.off_policy.scores import Scores

__all__ = ["ESTIMATORS", "Estimator", "Scores"]


@dataclass(frozen=True)
class Estimator:
    """An off-policy estimator: its key in reports, its name for people, its function."""

    key: str
    name: str
    influence: Callable[..., Scores]


ESTIMATORS = (
    Estimator("ips", "inverse probability", ips.influence),
    Estimator("snips", "self-normalised inverse probability", snips.influence),
    Estimator("dm", "direct method", direct_method.influence),
    Estimator("dr", "doubly robust", doubly_robust.influence),
)
