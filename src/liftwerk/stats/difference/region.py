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

import numpy as np

from liftwerk.stats import tails
from liftwerk.stats.difference.kinds import Kind
from liftwerk.stats.difference.pair import Both, total
from liftwerk.stats.estimate import Unknown

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
    if clustered:
        return _uneven(both)
    for column in range(kind.columns):
        answer = _too_heavy(kind, both, column)
        if answer is not None:
            return answer
    return None


def unseen(kind: Kind, both: Both) -> bool:
    """Tell whether the tail is taken on trust: a mean whose third moments are not known."""
    return kind.key != "proportion" and (both[0].cubes is None or both[1].cubes is None)


def _uneven(both: Both) -> Unknown | None:
    """Refuse clusters of which a few are nearly everything."""
    for arm in both:
        variance = float(arm.products[1, 1]) / (arm.n - 1)
        if variance > (UNEVEN * float(arm.means[1])) ** 2:
            reason = "a few clusters are much larger than the others"
            return Unknown(reason, "clusters of more equal size, or the largest ones split")
    return None


def _too_heavy(kind: Kind, both: Both, column: int) -> Unknown | None:
    control, treated = both
    n = control.n + treated.n
    skewness = _skewness(kind, both, column)
    if skewness is None:
        return None
    needed = math.floor(tails.SUGDEN + tails.COCHRAN * skewness**2) + 1
    worth = 4.0 * control.n * treated.n / n
    if worth >= needed:
        return None
    rows = tails.two_digits(math.ceil(needed * n / worth))
    return Unknown(
        f"a few of the {n:,} units carry nearly all the spread", f"about {rows:,} units like these"
    )


def _skewness(kind: Kind, both: Both, column: int) -> float | None:
    """Give the skewness within the arms, 0 where nothing varies, None where it is not known."""
    control, treated = both
    n = control.n + treated.n
    if kind.key == "proportion":
        share = float(control.n * control.means[0] + treated.n * treated.means[0]) / n
        if not 0.0 < share < 1.0:
            return 0.0
        return (1.0 - 2.0 * share) / math.sqrt(share * (1.0 - share))
    if control.cubes is None or treated.cubes is None:
        return None
    variance = float(control.products[column, column] + treated.products[column, column]) / n
    if variance <= 0.0:
        return 0.0
    third = float(control.cubes[column] + treated.cubes[column]) / n
    return third / float(np.sqrt(variance)) ** 3
