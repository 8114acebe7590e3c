"""Which sets of markets are worth a simulation: those that the others can stand in for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALL_UP_TO = 2_000
"""Sets of one size that are all looked at; of more, as many are drawn."""


@dataclass(frozen=True)
class Candidate:
    """A set of markets, and how far its movements are from those of the others.

    Parameters
    ----------
    columns : tuple of int
    distance : float
        1 less the correlation of its daily changes with those of the others' mean.
    """

    columns: tuple[int, ...]
    distance: float


def candidates(
    values: Floats,
    size: int,
    allowed: Sequence[int],
    required: Sequence[int],
    most: int,
    rng: np.random.Generator,
) -> list[Candidate]:
    """Screen sets of one size by how well the others move with them.

    Parameters
    ----------
    values : (days, markets) float array
    size : int
        Markets in a set.
    allowed : sequence of int
        Markets that may be treated.
    required : sequence of int
        Of these, the ones that have to be.
    most : int
        Sets that are kept.
    rng : numpy.random.Generator
        Draws sets where there are too many to look at all.

    Returns
    -------
    list of Candidate
        The nearest first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> common = rng.normal(size=(50, 1)).cumsum(axis=0)
    >>> values = 50.0 + np.hstack([common + rng.normal(size=(50, 4)), rng.normal(size=(50, 1))])
    >>> kept = candidates(values, 2, range(5), [], 3, rng)
    >>> all(4 not in one.columns for one in kept)
    True
    """
    free = [place for place in allowed if place not in set(required)]
    open_places = size - len(required)
    if open_places < 0 or open_places > len(free) or size >= values.shape[1]:
        return []
    sets = _sets(free, required, open_places, rng)
    members = np.zeros((len(sets), values.shape[1]))
    members[np.arange(len(sets))[:, None], np.asarray(sets, dtype=np.int64)] = 1.0
    # Each market counts by how it moves, not by how large it is.
    relative = values / np.maximum(np.abs(values).mean(axis=0), 1e-12)
    inside = relative @ members.T / size
    outside = relative @ (1.0 - members).T / (values.shape[1] - size)
    distance = 1.0 - _correlation(inside, outside)
    order = np.argsort(distance, kind="stable")[:most]
    return [Candidate(tuple(sorted(sets[place])), float(distance[place])) for place in order]


def _sets(
    free: Sequence[int], required: Sequence[int], open_places: int, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    fixed = tuple(required)
    if comb(len(free), open_places) <= ALL_UP_TO:
        return [fixed + chosen for chosen in combinations(free, open_places)]
    drawn = {
        tuple(sorted(int(place) for place in rng.choice(free, open_places, replace=False)))
        for _ in range(ALL_UP_TO)
    }
    return [fixed + chosen for chosen in sorted(drawn)]


def _correlation(first: Floats, second: Floats) -> Floats:
    """Correlate columns pairwise; 0 where one doesn't move."""
    first = first - first.mean(axis=0)
    second = second - second.mean(axis=0)
    sizes = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    products = (first * second).sum(axis=0)
    found = np.divide(products, sizes, out=np.zeros_like(products), where=sizes > 0.0)
    return np.asarray(found, dtype=np.float64)
