"""Where an interval of a difference was shown to cover; elsewhere, why there is none.

The map is in the documentation (`docs/statistics.md`), made by `soak/experiments_coverage.py`. The
error of an interval of a mean is governed by the skewness of what is averaged, as `stats.tails`
says. In a difference the skewness of two equal arms cancels, but not in one of unequal arms, and a
tail that was not seen is not seen in either: so Cochran's rule is asked of both arms together, with
`4 n m / (n + m)` for their number, which is all of them if they are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats import tails
from liftwerk.stats.difference.kinds import Kind
from liftwerk.stats.difference.pair import Both, total
from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

FEWEST_UNITS = 50
"""Units an arm from which the map begins."""
FEWEST_CLUSTERS = 20
"""Clusters an arm from which the map begins."""
UNEVEN = 1.0
"""Largest coefficient of variation of the clusters' sizes in the map."""
UNSEEN = "the tail of the values is no heavier than mapped (no third moments were given)"
"""What is assumed of a mean without third moments."""


def refusal(kind: Kind, strata: Sequence[Both], clustered: bool) -> Unknown | None:
    """Say why no interval is given, if so.

    Parameters
    ----------
    kind : Kind
    strata : sequence of (control, treated)
    clustered : bool
        Whether moments are over clusters: totals and sizes.

    Returns
    -------
    Unknown or None
    """
    both = total(strata)
    fewest = FEWEST_CLUSTERS if clustered else FEWEST_UNITS
    what = "clusters" if clustered else "units"
    found = min(both[0].n, both[1].n)
    if found < fewest:
        return Unknown(f"an arm has {found} {what}", f"at least {fewest} {what} in each arm")
    n = np.array([arm.n for arm in both], dtype=np.float64)
    means = np.array([arm.means for arm in both])
    products = np.array([arm.products for arm in both])
    if clustered:
        if uneven(n, means, products).any():
            return Unknown(
                "a few clusters are much larger than the others",
                "clusters of more equal size, or the largest ones split",
            )
        return None
    cubes = None
    if both[0].cubes is not None and both[1].cubes is not None:
        cubes = np.array([both[0].cubes, both[1].cubes])
    needed = float(units_needed(kind, n, means, products, cubes))
    if n.sum() >= needed:
        return None
    return Unknown(
        f"a few of the {int(n.sum()):,} units carry nearly all the spread",
        f"about {tails.two_digits(math.ceil(needed)):,} units like these",
    )


def unseen(kind: Kind, both: Both) -> bool:
    """Tell whether the tail is taken on trust: a mean whose third moments are not known."""
    return kind.key != "proportion" and (both[0].cubes is None or both[1].cubes is None)


def uneven(n: Floats, means: Floats, products: Floats) -> Bools:
    """Tell which arms have a few clusters that are much larger than the others.

    Parameters
    ----------
    n : (...) float array
    means : (..., k) float array
        Of a cluster's total and size, then of covariates.
    products : (..., k, k) float array

    Returns
    -------
    (...) bool array
    """
    return np.asarray(products[..., 1, 1] / (n - 1.0) > (UNEVEN * means[..., 1]) ** 2)


def units_needed(
    kind: Kind, n: Floats, means: Floats, products: Floats, cubes: Floats | None
) -> Floats:
    """Say how many units of both arms it takes with tails like these.

    Parameters
    ----------
    kind : Kind
    n : (..., 2) float array
        Units of control and of the treated arm.
    means : (..., 2, k) float array
    products : (..., 2, k, k) float array
    cubes : (..., 2, k) float array, optional

    Returns
    -------
    (...) float array
        As many as there are where nothing is known of the tail.

    Examples
    --------
    >>> n, share = np.array([5000.0, 5000.0]), np.array([[0.005], [0.005]])
    >>> from liftwerk.stats.difference.kinds import KINDS
    >>> float(units_needed(KINDS["proportion"], n, share, np.zeros((2, 1, 1)), None))
    4954.0
    """
    whole = n.sum(axis=-1)
    worth = 4.0 * n.prod(axis=-1) / whole
    if kind.key == "proportion":
        share = (n * means[..., 0]).sum(axis=-1) / whole
        varies = (share > 0.0) & (share < 1.0)
        own = np.where(varies, share * (1.0 - share), 1.0)
        squared = np.where(varies, (1.0 - 2.0 * share) ** 2 / own, 0.0)
    elif cubes is None:
        return whole
    else:
        own = slice(0, kind.columns)
        spread = products.sum(axis=-3).diagonal(axis1=-2, axis2=-1)[..., own] / whole[..., None]
        third = cubes.sum(axis=-2)[..., own] / whole[..., None]
        varies = spread > 0.0
        squared = np.where(varies, third**2 / np.where(varies, spread, 1.0) ** 3, 0.0).max(axis=-1)
    needed = np.floor(tails.SUGDEN + tails.COCHRAN * squared) + 1.0
    return np.asarray(needed * whole / worth)
