"""Whether a distribution is still the one of a reference: how far it moved, and if that is chance.

Both are read off counts in the same cells (quantile bins of the reference, or categories), which a
scan makes and which add up, so that ten million values are a dozen numbers.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri

from liftwerk.stats.estimate import Unknown

THRESHOLD = 0.2
"""The index from which a change counts, where nobody declared another.

Credit scoring, where the index comes from, calls less than 0.1 stable and more than 0.25 a major
shift (Siddiqi 2017, Intelligent Credit Scoring, 2nd edition, p. 369).
"""

ALPHA = 0.001
"""How often chance alone may look like a change, at most."""


SPARSE = 10
"""Values in a cell, of both samples together, below which it is not tested by itself."""


class Drift(Struct, frozen=True):
    """How far a distribution is from its reference.

    Attributes
    ----------
    index : float
        Population stability index: 0 where the shares are equal, without an upper end.
    p_value : float
        How often two samples of one distribution differ by as much or more.
    n, reference_n : int
        Values in either sample.
    changed : bool
        Whether the index is beyond the threshold, and chance is no explanation.
    """

    index: float
    p_value: float
    n: int
    reference_n: int
    changed: bool


def stability_index(reference: ArrayLike, counts: ArrayLike) -> float:
    """Return the population stability index of counts in the same cells.

    The sum of ``(a - e) ln(a / e)`` over the shares ``a`` of the sample and ``e`` of the reference.
    Where a cell is empty in one of the two, half a value is added to every cell of both.

    Parameters
    ----------
    reference, counts : array-like of shape (k,)
        How many values fell into each cell; either has some.

    Returns
    -------
    float

    References
    ----------
    Siddiqi, N. (2017), Intelligent Credit Scoring, 2nd edition, p. 369.

    Examples
    --------
    >>> round(stability_index([248, 247, 260, 245], [13, 43, 63, 81]), 7)
    0.3404592
    """
    expected, actual = _cells(reference, counts)
    if (expected == 0).any() or (actual == 0).any():
        expected, actual = expected + 0.5, actual + 0.5
    e, a = expected / expected.sum(), actual / actual.sum()
    return float(((a - e) * np.log(a / e)).sum())


def drift(reference: ArrayLike, counts: ArrayLike, threshold: float = THRESHOLD) -> Drift | Unknown:
    """Say whether a sample has moved away from its reference.

    Both have to hold for a change: the index is beyond the threshold (of many values every
    difference is significant, and most matter to nobody), and Pearson's chi-squared test of two
    samples rejects that they are of one distribution (of few values the index is large by chance).
    With so few values that chance alone would lift the index over the threshold more often than
    once in a thousand times, there is no answer.

    Parameters
    ----------
    reference, counts : array-like of shape (k,)
        How many values fell into each cell.
    threshold : float
        More than 0.

    Returns
    -------
    Drift or Unknown
        Unknown with the number of values that it takes.

    Notes
    -----
    While nothing changes, the index times ``1 / (1 / n + 1 / m)`` is distributed as chi-squared
    with ``k - 1`` degrees of freedom (Yurdakul 2018): hence how many values it takes. Quantile bins
    of the reference are as good as fixed ones here: what is certain about their counts is uncertain
    about their ends.

    References
    ----------
    Yurdakul, B. (2018), Statistical Properties of Population Stability Index, Western Michigan
    University.

    Examples
    --------
    >>> drift([500, 500], [500, 500]).changed
    False
    >>> drift([500, 500], [100, 900]).changed
    True
    >>> print(drift([500, 500], [9, 1]))
    unknown: 10 values are too few to tell a change from chance (needs 58 values)
    """
    expected, actual = _cells(reference, counts)
    n, m = round(actual.sum()), round(expected.sum())
    if not m:
        return Unknown("the reference holds no value", "a reference with values")
    critical = float(chdtri(max(len(expected) - 1, 1), ALPHA))
    room = threshold / critical - 1 / m  # what 1 / n may be
    if room <= 0:
        needs = f"a reference of more than {math.ceil(critical / threshold):,} values"
        return Unknown(f"the reference's {m:,} values are too few for this threshold", needs)
    needed = math.ceil(1 / room)
    if n < needed:
        reason = f"{n:,} values are too few to tell a change from chance"
        return Unknown(reason, f"{needed:,} values")
    index, p_value = stability_index(expected, actual), _p_value(expected, actual)
    return Drift(index, p_value, n, m, index > threshold and p_value < ALPHA)


def _p_value(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """Test whether two samples are of one distribution; cells with little in them are one."""
    both = np.stack([expected, actual])
    sparse = both.sum(axis=0) < SPARSE
    rest = both[:, sparse].sum(axis=1, keepdims=True)
    cells = both[:, ~sparse]
    if rest.sum() >= SPARSE:
        cells = np.hstack([cells, rest])
    e, a = cells
    if len(e) < 2:
        return 1.0
    ratio = math.sqrt(e.sum() / a.sum())
    statistic = ((a * ratio - e / ratio) ** 2 / (a + e)).sum()
    return float(chdtrc(len(e) - 1, statistic))


def _cells(
    reference: ArrayLike, counts: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    expected, actual = (np.asarray(one, dtype=np.float64) for one in (reference, counts))
    if expected.shape != actual.shape:
        what = f"the reference has {expected.shape} cells and the sample {actual.shape}"
        raise ValueError(what)
    return expected, actual
