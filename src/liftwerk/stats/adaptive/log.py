"""A bandit's log: what was drawn, with which probability, and what it earned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

ROUNDING = 1e-6
"""Probabilities of one row may miss a sum of 1 by this much."""


class Log(msgspec.Struct, frozen=True, eq=False):
    """Rows in the order in which they were drawn; each may have taught the draws of those after it.

    Parameters
    ----------
    reward : (n,) float array
    action : (n,) int array
        Number of the arm that was drawn, from 0.
    probability : (n,) float array
        That it was drawn with.
    batch : (n,) int array
        Rows of one batch were drawn by one state of the bandit: neighbours with equal numbers.
    arms : sequence of str
        Their names; k of them.
    probabilities : (n, k) float array, optional
        Of all arms in each row. Without them the weights are made from those of drawn arms alone.
    expected : (n, k) float array, optional
        Each arm's expected reward as it could be predicted *before* the row was drawn, from earlier
        rows and the row's own context. Without them, the arms' means over earlier rows.

    Raises
    ------
    ValueError
        If shapes differ, an arm has no name, or a probability is none.

    Examples
    --------
    >>> log = Log(np.ones(2), np.array([0, 1]), np.array([0.5, 0.5]), np.zeros(2, int), ["a", "b"])
    >>> log.past_mean(0).tolist()
    [0.0, 1.0]
    """

    reward: Floats
    action: Integers
    probability: Floats
    batch: Integers
    arms: Sequence[str]
    probabilities: Floats | None = None
    expected: Floats | None = None

    def __post_init__(self) -> None:
        n, k = self.reward.shape[0], len(self.arms)
        if n == 0:
            raise ValueError("a log without rows")
        for name in ("action", "probability", "batch"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{n} rewards, but {name} of shape {getattr(self, name).shape}")
        for name in ("probabilities", "expected"):
            table = getattr(self, name)
            if table is not None and table.shape != (n, k):
                raise ValueError(f"{n} rows and {k} arms, but {name} of shape {table.shape}")
        if not np.isfinite(self.reward).all():
            raise ValueError("a reward is not finite")
        if self.action.min() < 0 or self.action.max() >= k:
            raise ValueError(f"an action is not among the {k} arms")
        # Not-a-number fails every comparison, so that what must hold is asked.
        if not ((self.probability > 0.0) & (self.probability <= 1.0 + ROUNDING)).all():
            raise ValueError("a drawn arm's probability is not above 0 and at most 1")
        if self.probabilities is not None:
            self._check_probabilities(self.probabilities)

    def _check_probabilities(self, probabilities: Floats) -> None:
        if not (probabilities >= 0.0).all():
            raise ValueError("a probability is below 0 or missing")
        if np.abs(probabilities.sum(axis=1) - 1.0).max() > ROUNDING:
            raise ValueError("the probabilities of a row do not add up to 1")
        own = probabilities[np.arange(self.action.shape[0]), self.action]
        if np.abs(own - self.probability).max() > ROUNDING:
            raise ValueError("a drawn arm's probability is not that of its column")

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.reward.shape[0])

    def past_mean(self, arm: int) -> Floats:
        """Give what was to be expected of an arm, row by row, from earlier rows alone.

        Parameters
        ----------
        arm : int

        Returns
        -------
        (n,) float array
            Those declared in `expected`; otherwise the arm's mean reward over earlier rows, drawn
            to that of all earlier rows as if one row more had earned it.
        """
        if self.expected is not None:
            return self.expected[:, arm]
        drawn = (self.action == arm).astype(np.float64)
        overall = before(self.reward) / np.maximum(np.arange(self.n), 1)
        return np.asarray((before(self.reward * drawn) + overall) / (before(drawn) + 1.0))

    def closed_to_contexts(self, policy: Floats) -> bool:
        """Say whether an arm of a policy could not be drawn in some rows of a batch, but in others.

        Parameters
        ----------
        policy : (k,) float array

        Returns
        -------
        bool
        """
        if self.probabilities is None:
            return False
        closed = np.any(self.probabilities[:, policy != 0.0] <= 0.0, axis=1)
        neighbours = self.batch[1:] == self.batch[:-1]
        return bool((neighbours & (closed[1:] != closed[:-1])).any())


def before(values: Floats) -> Floats:
    """Add up all earlier rows' values, for each row.

    Examples
    --------
    >>> before(np.array([1.0, 2.0, 3.0])).tolist()
    [0.0, 1.0, 3.0]
    """
    return np.concatenate([[0.0], np.cumsum(values)[:-1]])
