"""When the tails are too heavy for an interval to be believed.

The error of a 95% interval of a mean is governed by the skewness of what is averaged. Cochran
(*Sampling Techniques*, 1977, section 2.15) asks for :math:`n > 25 G_1^2` so that it is wrong not
more often than 6%; Sugden, Smith and Jones (2000, *Cochran's rule for simple random sampling*,
JRSS B 62(4)) for :math:`n > 28 + 25 G_1^2` where the spread is estimated, as here.

The rule is asked of the *rewards* first, all rows together: there the tail is seen best, and every
policy averages the same rewards. In simulated trials of 32,000 customers with 0.9% buyers it
passes when orders look like the published trial's and refuses lognormal ones with sigma 1.6, whose
largest orders such a sample has not seen yet (`soak/tails.py` prints the map). A policy's own
contributions are more skewed than the rewards, since they rest on fewer of them: their interval
is corrected for skewness (`stats.interval`), which was shown to hold up to :data:`OWN_LIMIT`.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]

COCHRAN = 25.0
SUGDEN = 28.0
OWN_LIMIT = 0.4
"""Largest skewness of a mean (that of its rows over sqrt(n)) that the correction was shown for."""
DIFFERENCE_LIMIT = 0.8
"""The same for one difference, whose interval is not corrected: beyond it one row is nearly all."""
JOINT_LIMIT = 0.5
"""The same for several differences that have to hold together."""
FEWEST = 2.5
"""Equal rows that the spread must be worth: two large ones of opposite sign have no skewness."""


def skewness(values: Floats) -> float:
    r"""Give Fisher's :math:`G_1`, the third central moment in standard deviations.

    Parameters
    ----------
    values : (n,) float array

    Returns
    -------
    float
        0 where nothing varies.

    Examples
    --------
    >>> skewness(np.array([0.0, 0.0, 0.0, 1.0])).__round__(4)
    1.1547
    """
    centred = values - values.mean()
    variance = float((centred**2).mean())
    if variance <= 0.0:
        return 0.0
    third = float((centred * centred * centred).mean())
    return third / float(variance**1.5)


def rows_needed(values: Floats) -> int:
    """Say how many rows a mean of such values takes before its interval is believed.

    Parameters
    ----------
    values : (n,) float array

    Returns
    -------
    int

    Examples
    --------
    >>> rows_needed(np.array([0.0, 1.0]))
    29
    """
    return math.floor(SUGDEN + COCHRAN * skewness(values) ** 2) + 1


def too_heavy(rewards: Floats) -> Unknown | None:
    """Refuse rewards whose tail this many rows have not seen.

    Parameters
    ----------
    rewards : (n,) float array

    Returns
    -------
    Unknown or None
        None when intervals of means of these rewards can be believed.

    Examples
    --------
    >>> print(too_heavy(np.array([0.0] * 99 + [500.0])))
    unknown: one reward in a few carries all the spread, so 100 rows give no honest interval \
(needs about 2500 rows like these)
    >>> too_heavy(np.arange(100.0)) is None
    True
    """
    n = rewards.shape[0]
    needed = rows_needed(rewards)
    if n >= needed:
        return None
    return Unknown(
        f"one reward in a few carries all the spread, so {n} rows give no honest interval",
        f"about {two_digits(needed)} rows like these",
    )


def two_digits(number: int) -> int:
    """Round up to two leading digits: the estimate of what it takes is itself a rough one."""
    unit = int(10 ** max(len(str(number)) - 2, 0))
    return int(math.ceil(number / unit) * unit)
