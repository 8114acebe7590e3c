"""Arrays and sums in, `Estimate` or `Unknown` out.

Intervals, simultaneous intervals, differences of arms, off-policy estimators, Qini curves, uplift
deciles, profit curves and tests of heterogeneity, with NumPy and SciPy alone. The room does no
input or output, reads no clock and draws only from the generator it is given; what a number means
for the business (which reward, which policy) is left to `metrics` and `decisions`.
"""

from __future__ import annotations

from liftwerk.stats.estimate import Estimate, Unknown, to_json

__all__ = ["Estimate", "Unknown", "to_json"]
