"""Where an interval of a difference was shown to cover; elsewhere, why there is none.

The map is in the documentation (`docs/concepts/coverage-map.md`), made by
`soak/experiments_coverage.py`. The error of an interval of a mean is governed by the skewness of
what is averaged, as `stats.tails` says. In a difference the skewness of two equal arms cancels; but
a tail that was not seen is not seen in either arm, so Cochran's rule is asked of both together,
with `4 n m / (n + m)` for their number: all of them if they are equal. What skewness unequal arms
leave in the difference is corrected for, and has to be moderate.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats import tails
from liftwerk.stats.difference.arms import Arms
from liftwerk.stats.difference.kinds import Kind
from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

FEWEST_UNITS = 50
"""Units an arm from which the map begins."""
FEWEST_CLUSTERS = 20
"""Clusters an arm from which the map begins."""
UNEVEN = 1.0
"""Largest coefficient of variation of the clusters' sizes in the map."""
CORRECTED_LIMIT = tails.OWN_LIMIT
"""Largest skewness of a difference that the correction was shown for."""
PLAIN_LIMIT = 0.25
"""The same where it is not corrected: at any time, and of ratios."""
UNSEEN = "the tail of the values is no heavier than mapped (no third moments were given)"
"""What is assumed of a mean without third moments."""


def refusal(kind: Kind, arms: Arms, clustered: bool, corrected: bool) -> Unknown | None:
    """Say why one pair of arms gets no interval, if so.

    Parameters
    ----------
    kind : Kind
    arms : Arms
        Of one pair.
    clustered : bool
        Whether moments are over clusters: totals and sizes.
    corrected : bool
        Whether the interval is corrected for skewness.

    Returns
    -------
    Unknown or None
    """
    if inside(kind, arms, clustered, corrected).all():
        return None
    fewest = FEWEST_CLUSTERS if clustered else FEWEST_UNITS
    what = "clusters" if clustered else "units"
    found = int(arms.n.min())
    if found < fewest:
        return Unknown(f"an arm has {found} {what}", f"at least {fewest} {what} in each arm")
    if clustered:
        reason = "a few clusters are much larger than the others"
        return Unknown(reason, "clusters of more equal size, or the largest ones split")
    needed = tails.two_digits(math.ceil(float(units_needed(kind, arms, corrected).max())))
    return Unknown(
        f"a few of the {int(arms.n.sum()):,} units carry nearly all the spread",
        f"about {needed:,} units like these",
    )


def inside(kind: Kind, arms: Arms, clustered: bool, corrected: bool) -> Bools:
    """Tell which pairs of arms are in the region.

    Parameters
    ----------
    kind, arms, clustered, corrected : as for `refusal`

    Returns
    -------
    (m,) bool array
    """
    smaller = arms.n.min(axis=-1)
    if clustered:
        variance = arms.products[..., 1, 1] / np.maximum(arms.n - 1.0, 1.0)
        uneven = (variance > (UNEVEN * arms.means[..., 1]) ** 2).any(axis=-1)
        return np.asarray((smaller >= FEWEST_CLUSTERS) & ~uneven)
    large = np.zeros(smaller.shape, dtype=np.bool_)
    enough = smaller >= FEWEST_UNITS
    if enough.any():
        large = arms.n.sum(axis=-1) >= units_needed(kind, arms, corrected)
    return np.asarray(enough & large)


def units_needed(kind: Kind, arms: Arms, corrected: bool) -> Floats:
    """Say how many units of both arms it takes with tails like these.

    Parameters
    ----------
    kind : Kind
    arms : Arms
    corrected : bool

    Returns
    -------
    (m,) float array
        As if there were no tail, where nothing is known of it.
    """
    n = np.maximum(arms.n, 1.0)
    whole = n.sum(axis=-1)
    worth = 4.0 * n.prod(axis=-1) / whole
    skew = np.abs(skewness(kind, arms)).max(axis=-1)
    seen = (np.floor(tails.SUGDEN + tails.COCHRAN * skew**2) + 1.0) * whole / worth
    # The skewness of the difference falls with the root of the number of units.
    limit = CORRECTED_LIMIT if corrected else PLAIN_LIMIT
    balanced = whole * (skew * _imbalance(n) / limit) ** 2
    return np.asarray(np.maximum(seen, balanced))


def skewness(kind: Kind, arms: Arms) -> Floats:
    """Give the skewness of the kind's columns within the arms, 0 where nothing varies or is known.

    Parameters
    ----------
    kind : Kind
    arms : Arms

    Returns
    -------
    (m, columns) float array
    """
    own = slice(0, kind.columns)
    whole = np.maximum(arms.n.sum(axis=-1), 1.0)[..., None]
    if kind.key == "proportion":
        share = (arms.n[..., None] * arms.means[..., own]).sum(axis=-2) / whole
        varies = (share > 0.0) & (share < 1.0)
        spread = np.where(varies, share * (1.0 - share), 1.0)
        return np.asarray(np.where(varies, (1.0 - 2.0 * share) / np.sqrt(spread), 0.0))
    if arms.cubes is None:
        return np.zeros((*arms.n.shape[:-1], kind.columns))
    spread = arms.products.sum(axis=-3).diagonal(axis1=-2, axis2=-1)[..., own] / whole
    third = arms.cubes.sum(axis=-2)[..., own] / whole
    varies = spread > 0.0
    return np.asarray(np.where(varies, third / np.where(varies, spread, 1.0) ** 1.5, 0.0))


def corrects(kind: Kind, method: str) -> bool:
    """Tell whether a method corrects for skewness in a metric of this kind."""
    return method == "fixed" and kind.columns == 1


def skewness_of_difference(kind: Kind, arms: Arms) -> Floats:
    r"""Give the skewness of treated less control, if tails in both arms are alike.

    .. math:: G \, (1/m^2 - 1/n^2) / (1/m + 1/n)^{3/2}

    with `n` units of control, `m` treated ones and their skewness `G`; 0 for ratios, whose
    skewness moments do not tell.

    Parameters
    ----------
    kind : Kind
    arms : Arms

    Returns
    -------
    (m,) float array
    """
    if kind.columns > 1:
        return np.zeros(arms.n.shape[:-1])
    return np.asarray(skewness(kind, arms)[..., 0] * _imbalance(arms.n))


def _imbalance(n: Floats) -> Floats:
    """Give the skewness of a difference whose values have a skewness of 1."""
    control, treated = 1.0 / n[..., 0], 1.0 / n[..., 1]
    return np.asarray((treated**2 - control**2) / (treated + control) ** 1.5)
