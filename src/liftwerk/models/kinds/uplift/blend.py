"""How far each learner is believed: weights that minimise the cross-fitted DR loss.

The blend is ``constant + sum_l w_l (f_l - constant)`` with ``w >= 0`` and ``sum w <= 1``, so that
it lies between the average effect and the learners (stacking: van der Laan, Polley and Hubbard
2007; the loss: Kennedy 2023, Nie and Wager 2021). Losses are kept as sums, which add up over folds
and, going forward, over time (Benkeser, Ju, Lendle and van der Laan 2018).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from liftwerk.models.encode import Floats


class BlendSums:
    """Sums over held-out rows from which the weights of every action follow.

    Parameters
    ----------
    actions, learners : int
        How many effects there are, and how many learners.
    """

    def __init__(self, actions: int, learners: int) -> None:
        self.products = np.zeros((actions, learners, learners))
        self.targets = np.zeros((actions, learners))

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
        self.products += np.einsum("lna,mna->alm", away, away)
        self.targets += np.einsum("lna,na->al", away, scores - constant)

    def weights(self) -> Floats:
        """Weights (actions, learners) that minimise the summed loss."""
        return np.stack(
            [best_weights(a, b) for a, b in zip(self.products, self.targets, strict=True)]
        )


def best_weights(products: Floats, targets: Floats) -> Floats:
    """Minimise ``w' A w - 2 b' w`` over ``w >= 0, sum w <= 1``, exactly.

    With few learners every set of active constraints can be tried.

    Examples
    --------
    >>> best_weights(np.eye(2), np.array([0.5, -1.0])).round(6).tolist()
    [0.5, 0.0]
    >>> best_weights(np.eye(2), np.array([1.5, 1.0])).round(6).tolist()
    [0.75, 0.25]
    """
    size = len(targets)
    best, best_loss = np.zeros(size), 0.0
    ridge = 1e-12 * float(np.trace(products))
    if ridge == 0.0:
        return best
    for count in range(1, size + 1):
        for chosen in combinations(range(size), count):
            index = list(chosen)
            matrix = products[np.ix_(index, index)] + ridge * np.eye(count)
            for candidate in _stationary(matrix, targets[index]):
                if candidate.min() < 0.0 or candidate.sum() > 1.0 + 1e-12:
                    continue
                loss = float(candidate @ matrix @ candidate - 2.0 * targets[index] @ candidate)
                if loss < best_loss:
                    best, best_loss = np.zeros(size), loss
                    best[index] = candidate
    return best


def _stationary(matrix: Floats, targets: Floats) -> list[Floats]:
    free = np.linalg.solve(matrix, targets)
    direction = np.linalg.solve(matrix, np.ones(len(targets)))
    bound = free + direction * (1.0 - free.sum()) / direction.sum()
    return [free, bound]
