"""Whether a count is too large or too far from what is usual, or may be so by chance."""

from __future__ import annotations

import math

from scipy.special import bdtrc, pdtr, pdtrc

from liftwerk.stats.estimate import Unknown

ALPHA = 0.001
"""How often chance alone may look like a fault, at most."""


def is_share_above(hits: int, n: int, limit: float) -> bool | Unknown:
    """Say whether a share is above a limit.

    Parameters
    ----------
    hits, n : int
        How many of how many.
    limit : float
        From 0 to 1.

    Returns
    -------
    bool or Unknown
        True where the share that was seen is above the limit and chance is no explanation
        (one-sided exact binomial test); unknown where it may be chance, or where so few were seen
        that even all of them would be no proof.

    Examples
    --------
    >>> is_share_above(300, 1000, 0.2), is_share_above(210, 1200, 0.2)
    (True, False)
    >>> print(is_share_above(1, 3, 0.2))
    unknown: 3 rows are too few to tell (needs 5 rows)
    """
    if n == 0:
        return Unknown("there are no rows", "a row")
    if limit > 0 and limit**n >= ALPHA and limit < 1:
        needs = math.floor(math.log(ALPHA) / math.log(limit)) + 1
        return Unknown(f"{n:,} rows are too few to tell", f"{needs:,} rows")
    if hits <= limit * n:
        return False
    if bdtrc(hits - 1, n, limit) < ALPHA:
        return True
    return Unknown(f"{hits:,} of {n:,} rows may be above it by chance", "more rows")


def is_unusual(count: int, usual: float, within: float) -> bool | Unknown:
    """Say whether a day's count is further from the usual one than a share of it.

    Parameters
    ----------
    count : int
    usual : float
        What is usual, such as the median of other days.
    within : float
        The share of it by which a count may differ.

    Returns
    -------
    bool or Unknown
        Unknown where it differs by more, and a Poisson count of this mean may do so by chance.

    Examples
    --------
    >>> is_unusual(40, 100, 0.5), is_unusual(70, 100, 0.5)
    (True, False)
    >>> print(is_unusual(1, 4, 0.5))
    unknown: 1 where 4 are usual may be chance (needs more events in a day)
    """
    if abs(count - usual) <= within * usual:
        return False
    tail = pdtr(count, usual)
    if count > usual:
        tail = pdtrc(count - 1, usual)
    if tail < ALPHA:
        return True
    return Unknown(f"{count:,} where {usual:g} are usual may be chance", "more events in a day")
