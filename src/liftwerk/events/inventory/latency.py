"""How long things take, as counts in logarithmic buckets: small, exact to 1%, and added like sums.

The sketch of Masson, Rim and Lee, "DDSketch" (VLDB 2019), with its bucket index in SQL: bucket i
holds what lies in (gamma^(i-1), gamma^i] microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from liftwerk.events.inventory.shapes import Quantiles

STEPS = 50
"""Buckets a factor of e: gamma is e^(1/50), and a bucket's middle is within 1% of all in it."""


def bucket_sql(microseconds: str) -> str:
    """Write the bucket of a length in SQL; what took no time, or less, is in bucket 0."""
    length = f"greatest({microseconds}, 1)"
    return f"ceil(ln({length}) * {STEPS})::SMALLINT"


def quantiles(buckets: Mapping[int, int]) -> Quantiles | None:
    """Read the quantiles off the counts; None where nothing was counted.

    Parameters
    ----------
    buckets : mapping of int to int
        Bucket -> how many.

    Returns
    -------
    Quantiles or None
        Of the nearest rank, in seconds.

    Examples
    --------
    >>> quantiles({0: 98, 691: 1, 806: 1})
    Quantiles(events=100, p50=0.0, p95=0.0, p99=0.9945...)
    """
    total = sum(buckets.values())
    if total == 0:
        return None
    ranks = [math.ceil(total * share) for share in (0.5, 0.95, 0.99)]
    found: list[float] = []
    seen = 0
    for bucket, many in sorted(buckets.items()):
        seen += many
        while len(found) < len(ranks) and ranks[len(found)] <= seen:
            found.append(_middle(bucket))
    return Quantiles(total, *found)


def _middle(bucket: int) -> float:
    if bucket <= 0:
        return 0.0
    return math.exp((bucket - 0.5) / STEPS) / 1e6
