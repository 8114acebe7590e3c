"""Which folds a learned policy may learn from, so that its value has an honest interval.

Split the rows into K folds by lot. The policy of fold f is fitted on the folds that f *learns
from*, and valued on f. Its error on f has mean 0 given all other folds, since none of f's rows
were used to fit it. Two folds that learn from each other have correlated errors, though: where a
fold was lucky for an action, the other's policy leans to that action and meets that luck again
when it is valued. That is why intervals from plain cross-fitting (everybody learns from everybody
else) are too short when a policy is nearly indifferent between actions, which is the usual case.

If f does *not* learn from g, then g's error is 0 on average given all folds but g, and f's error is
a function of those: the two are exactly uncorrelated. So it suffices that no two folds learn from
each other. Fitting forward only (Luedtke and van der Laan, 2016, Annals of Statistics 44(2)) is
one such arrangement, in which fold f learns from all earlier ones; its first fold can learn from
nobody and goes unvalued. A *round robin* gives each fold the next (K - 1) / 2 in a circle: every
row is valued, and all policies are fitted on equally many rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def round_robin(folds: int) -> NDArray[np.bool_]:
    """Arrange an odd number of folds so that no two learn from each other.

    Parameters
    ----------
    folds : int
        Odd, at least 3.

    Returns
    -------
    (folds, folds) bool array
        Entry (f, g): the policy of fold f is fitted on fold g.

    Examples
    --------
    >>> round_robin(5).astype(int).tolist()[0]
    [0, 1, 1, 0, 0]
    """
    if folds < 3 or folds % 2 == 0:
        raise ValueError(f"a round robin takes an odd number of folds from 3, not {folds}")
    distance = (np.arange(folds)[None, :] - np.arange(folds)[:, None]) % folds
    return np.asarray((distance >= 1) & (distance <= (folds - 1) // 2))


def assign(n: int, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal rows to folds by lot, as evenly as can be.

    Parameters
    ----------
    n, folds : int
    rng : numpy.random.Generator

    Returns
    -------
    (n,) int array

    Examples
    --------
    >>> np.bincount(assign(11, 3, np.random.default_rng(0))).tolist()
    [4, 4, 3]
    """
    return np.asarray(rng.permutation(np.arange(n) % folds), dtype=np.int64)


def uncorrelated(learns_from: NDArray[np.bool_]) -> bool:
    """Tell whether no fold learns from itself and no two learn from each other.

    Parameters
    ----------
    learns_from : (K, K) bool array

    Returns
    -------
    bool

    Examples
    --------
    >>> uncorrelated(round_robin(7)), uncorrelated(~np.eye(5, dtype=bool))
    (True, False)
    """
    return not bool((learns_from & learns_from.T).any())
