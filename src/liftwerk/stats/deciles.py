"""Predicted against observed effects, in groups of customers of equal size."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.interval import interval_of_difference
from liftwerk.stats.off_policy.scores import Scores

Floats: TypeAlias = NDArray[np.float64]


class Decile(msgspec.Struct, frozen=True):
    """One tenth of the customers by predicted effect; number 1 has the largest.

    Parameters
    ----------
    number : int
    predicted : float
        Mean predicted effect.
    observed : Estimate or Unknown
        Mean of the doubly robust scores: what the effect there really was.
    point : float
        That mean alone, also where its interval is Unknown.
    n : int
    """

    number: int
    predicted: float
    observed: Estimate | Unknown
    point: float
    n: int


def deciles(
    predicted: Floats, scores: Floats, groups: int = 10, priority: Floats | None = None
) -> tuple[Decile, ...]:
    """Compare predicted effects with observed ones, from the largest predicted downwards.

    Parameters
    ----------
    predicted : (n,) float array
        Effects predicted without the row's own outcome.
    scores : (n,) float array
        Doubly robust scores of the effect.
    groups : int
    priority : (n,) float array, optional
        What the rows are ordered by instead: ranks within folds, where the predictions come from
        several models (`stats.ranks`).

    Returns
    -------
    tuple of Decile
        Sizes differ by at most one row; of equal predictions the earlier row comes first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> effect = rng.random(5000)
    >>> first = deciles(effect, effect + rng.normal(size=5000))[0]
    >>> round(first.predicted, 2), first.observed.low < 0.95 < first.observed.high
    (0.95, True)
    """
    if priority is None:
        priority = predicted
    order = np.argsort(-priority, kind="stable")
    found = []
    for number, rows in enumerate(np.array_split(order, groups), start=1):
        if rows.shape[0] < 2:
            continue
        mean = float(scores[rows].mean())
        observed = interval_of_difference(
            Scores(mean, scores[rows] - mean),
            method="mean of doubly robust scores",
            assumptions=("actions were drawn with the logged probabilities",),
        )
        found.append(
            Decile(number, float(predicted[rows].mean()), observed, mean, int(rows.shape[0]))
        )
    return tuple(found)
