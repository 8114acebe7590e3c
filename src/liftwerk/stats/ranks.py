"""Order customers by predictions that came from different models."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


def rank_within(score: Floats, folds: NDArray[np.int64]) -> Floats:
    """Give each row's place within its fold, as a share; equal scores share their middle place.

    Predictions of different folds come from models that were fitted without them, so that the
    model of a fold which was lucky is a little too low, and the other way round. Sorting all rows
    by prediction would then put unlucky folds first: a learner that found nothing would look worse
    than chance. Inside a fold one model speaks, and places are comparable.

    Parameters
    ----------
    score : (n,) float array
    folds : (n,) int array

    Returns
    -------
    (n,) float array
        Between 0 and 1, rising with the score.

    Examples
    --------
    >>> rank_within(np.array([5.0, 1.0, 70.0, 60.0]), np.array([0, 0, 1, 1])).tolist()
    [0.75, 0.25, 0.75, 0.25]
    >>> rank_within(np.array([2.0, 2.0, 9.0, 9.0]), np.array([0, 0, 1, 1])).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    places = np.empty(score.shape[0])
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        _, inverse, counts = np.unique(score[rows], return_inverse=True, return_counts=True)
        middles = np.cumsum(counts) - 0.5 * counts
        places[rows] = middles[inverse] / rows.shape[0]
    return places
