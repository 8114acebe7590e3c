"""Many differences at once: looks, segments or metrics of one kind, in arrays.

What `difference` calls `Unknown` is not a number here; ask it for the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.difference import intervals, region
from liftwerk.stats.difference.adjust import adjust
from liftwerk.stats.difference.arms import Arms
from liftwerk.stats.difference.contrast import kind_of
from liftwerk.stats.difference.methods import Method, MethodName
from liftwerk.stats.difference.methods.anytime import Anytime
from liftwerk.stats.difference.methods.fixed import Fixed
from liftwerk.stats.difference.pair import Pair, of_clusters, side_by_side

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences of m pairs of arms; not a number where there is no answer.

    Attributes
    ----------
    absolute, relative : (4, m) float arrays
        Value, low, high, standard error.
    p_value : (m,) float array
    """

    absolute: Floats
    relative: Floats
    p_value: Floats


def differences(
    kind: str,
    arms: Arms,
    *,
    method: MethodName = "anytime",
    tuned_for: float | None = None,
    level: float = 0.95,
    clustered: bool = False,
) -> Differences:
    """Compare many pairs of arms at once.

    Parameters
    ----------
    kind : {"mean", "proportion", "ratio"}
    arms : Arms
    method, tuned_for, level, clustered : as for `contrast`

    Returns
    -------
    Differences

    Examples
    --------
    >>> from liftwerk.stats.moments import Moments
    >>> rng = np.random.default_rng(0)
    >>> pairs = [[Moments.of([rng.gamma(2.0, 1.0, 1000)]) for _ in (0, 1)] for _ in range(3)]
    >>> differences("mean", Arms.of(pairs), method="fixed").p_value.round(2)
    array([0.84, 0.73, 0.27])
    """
    shape = kind_of(kind, clustered)
    n = arms.n[..., None, None]
    inside = region.inside(shape, arms, clustered, region.corrects(shape, method))
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = side_by_side(arms.products / ((n - shape.freedom) * n))
        pairs = Pair(arms.n, 1, arms.means.reshape(len(arms.n), -1), covariance)
        if clustered:
            pairs = of_clusters(pairs)
        found = adjust(shape, pairs)
        for fault, _ in found.faults:
            inside &= ~fault
        law: Method = Fixed(found.freedom, region.skewness_of_difference(shape, arms))
        if method == "anytime":
            if tuned_for is None:
                raise ValueError("a confidence sequence is tuned for a number of units")
            law = Anytime(arms.n.sum(axis=-1), tuned_for, level)
            if clustered:
                clock = (arms.n * arms.means[..., 1]).sum(axis=-1)
                law = Anytime(clock, tuned_for, level, found.freedom, correlated=True)
        down, up = law.reach(level)
        reach = (np.where(inside, down, np.nan), np.where(inside, up, np.nan))
        absolute = np.stack(intervals.of_difference(found.values, found.covariance, reach))
        relative = np.stack(intervals.of_ratio(found.values, found.covariance, reach))
        p_value = law.p_value(absolute[0] / absolute[3])
    return Differences(
        np.where(inside, absolute, np.nan),
        np.where(np.isfinite(relative).all(axis=0), relative, np.nan),
        np.where(inside, p_value, np.nan),
    )
