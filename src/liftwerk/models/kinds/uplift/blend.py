"""How far each learner is believed: weights by the cross-fitted DR loss, averaged and not picked.

The blend is ``constant + sum_l w_l (f_l - constant)`` with ``w >= 0`` and ``sum w <= 1``, so that
it lies between the average effect and the learners (stacking: van der Laan, Polley and Hubbard
2007; the loss: Kennedy 2023, Nie and Wager 2021). The weights that minimise the loss jump to a
corner when effects are faint, and all order among customers is lost with them; so weights are
averaged over the simplex, each point by how well it would have predicted held-out scores
(exponential weights at the noise's own temperature: Dalalyan and Tsybakov 2008). Losses are kept
as sums, which add up over folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np

from liftwerk.models.design import Floats

STEPS = 30
"""Grid steps from 0 to 1 for a weight."""


class BlendSums:
    """Sums over held-out rows from which the weights of every action follow.

    Parameters
    ----------
    actions : int
        How many effects there are.
    chances : sequence of float
        For each learner how likely it is, beforehand, that the blend needs it.
    """

    def __init__(self, actions: int, chances: Sequence[float]) -> None:
        self.chances = tuple(chances)
        learners = len(self.chances)
        self.products = np.zeros((actions, learners, learners))
        self.targets = np.zeros((actions, learners))
        self.squares = np.zeros(actions)
        self.rows = 0

    def add(self, predicted: Floats, scores: Floats, constant: Floats) -> None:
        """Add held-out rows.

        Parameters
        ----------
        predicted : ndarray, shape (learners, n, actions)
            What the learners say, fitted without these rows.
        scores : ndarray, shape (n, actions)
            The rows' doubly robust scores.
        constant : ndarray, shape (actions,)
            The average effect, fitted without these rows.
        """
        away = predicted - constant
        left = scores - constant
        self.products += np.einsum("lna,mna->alm", away, away)
        self.targets += np.einsum("lna,na->al", away, left)
        self.squares += np.square(left).sum(axis=0)
        self.rows += len(scores)

    def weights(self) -> Floats:
        """Weights (actions, learners)."""
        noise = self.squares / max(self.rows, 1)
        return np.stack(
            [
                averaged_weights(self.products[a], self.targets[a], noise[a], self.chances)
                for a in range(len(noise))
            ]
        )


def averaged_weights(
    products: Floats, targets: Floats, noise: float, chances: tuple[float, ...]
) -> Floats:
    """Average the weights over the simplex by ``exp(-(w'Aw - 2 b'w) / (2 noise))``.

    Parameters
    ----------
    products, targets : ndarray, shapes (L, L) and (L,)
        ``A`` and ``b``: sums of products of the learners' deviations from the average effect, and
        of these with the scores' deviations.
    noise : float
        Variance of a score.
    chances : tuple of float
        For each learner the prior chance that it is needed; else its weight is 0.

    Returns
    -------
    ndarray, shape (L,)

    Examples
    --------
    >>> averaged_weights(np.eye(1) * 1e4, np.array([5e3]), 1.0, (1.0,)).round(3).tolist()
    [0.5]
    >>> averaged_weights(np.zeros((1, 1)), np.zeros(1), 1.0, (1.0,)).round(3).tolist()
    [0.5]
    """
    if noise <= 0.0:
        return np.zeros(len(targets))
    points, prior = _simplex(chances)
    loss = np.einsum("pi,ij,pj->p", points, products, points) - 2.0 * points @ targets
    exponent = prior - 0.5 * loss / noise
    density = np.exp(exponent - exponent.max())
    return np.asarray((density @ points) / density.sum())


@cache
def _simplex(chances: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Lay a grid over the simplex; each set of needed learners shares its prior chance evenly."""
    grids, priors = [], []
    for needed in product((False, True), repeat=len(chances)):
        chance = np.prod([c if n else 1.0 - c for c, n in zip(chances, needed, strict=True)])
        if chance == 0.0:
            continue
        steps = [range(STEPS + 1) if n else range(1) for n in needed]
        grid = np.array([point for point in product(*steps) if sum(point) <= STEPS]) / STEPS
        grids.append(grid)
        priors.append(np.full(len(grid), np.log(chance / len(grid))))
    return np.concatenate(grids), np.concatenate(priors)
