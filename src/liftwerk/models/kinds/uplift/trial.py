"""A trial in sums: every "fitted without these folds" is a small solve, and sees nothing of them.

Rows lie in *parts*; a *group* is a tuple of parts that is left out together, and a sample is a
tuple of groups. Sums of the raw columns are kept per part and arm, and are only ever added, never
subtracted across samples: not even rounding carries a fold's outcomes into what was fitted
without it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from liftwerk.errors import InputError, Refused
from liftwerk.models.design import Design, Features, Floats, Ints, as_design
from liftwerk.models.encode import Basis, Encoder
from liftwerk.models.kinds.uplift.ridge import affine_map, choose_penalty

Groups: TypeAlias = tuple[tuple[int, ...], ...]

FEWEST_IN_ARM = 50
"""Fewer rows than this in an arm are no ground for an effect."""


class Trial:
    """Features, actions, outcomes and known probabilities of n customers, cut into parts.

    Parameters
    ----------
    features : Design, pyarrow.Table or ndarray of shape (n, p)
    action : array of int, shape (n,)
        What was done; 0 is control.
    outcome : array of float, shape (n,)
    logged : array of float, shape (n, k)
        Each action's probability when the action was drawn.
    parts : array of int, shape (n,)
        The smallest groups of rows, numbered from 0.
    """

    def __init__(
        self,
        features: Features,
        action: npt.ArrayLike,
        outcome: npt.ArrayLike,
        logged: npt.ArrayLike,
        parts: Ints,
    ) -> None:
        self.design: Design = as_design(features)
        self.action, self.outcome, self.logged = _checked(len(self.design), action, outcome, logged)
        self.parts = parts
        self.arms = self.logged.shape[1]
        self.basis = Basis.of(self.design, parts)
        self._rows = [np.flatnonzero(parts == part) for part in range(int(parts.max()) + 1)]
        self._sum()
        self._means: dict[Groups, Floats] = {}

    def _sum(self) -> None:
        width = self.basis.matrix.shape[1]
        shape = (len(self._rows), self.arms)
        self.gram = np.zeros((*shape, width, width))
        self.cross = np.zeros((*shape, width))
        self.square = np.zeros(shape)
        for part, rows in enumerate(self._rows):
            for arm in range(self.arms):
                chosen = rows[self.action[rows] == arm]
                matrix, outcome = self.basis.matrix[chosen], self.outcome[chosen]
                self.gram[part, arm] = matrix.T @ matrix
                self.cross[part, arm] = matrix.T @ outcome
                self.square[part, arm] = outcome @ outcome

    def rows(self, group: tuple[int, ...]) -> npt.NDArray[np.intp]:
        """Rows of a group, in the order of the table."""
        return np.sort(np.concatenate([self._rows[part] for part in group]))

    def sample_rows(self, groups: Groups) -> npt.NDArray[np.intp]:
        """Rows of all groups, in the order of the table."""
        return self.rows(tuple(part for group in groups for part in group))

    def total_gram(self, groups: Groups) -> Floats:
        """Sum the products of raw columns (D, D) over all rows of the groups."""
        parts = [part for group in groups for part in group]
        return np.asarray(self.gram[parts].sum(axis=(0, 1)))

    def encoding(self, groups: Groups) -> tuple[Encoder, Floats]:
        """Learn an encoder from the groups; return it and its map from raw columns."""
        gram = self.total_gram(groups)
        return self.basis.encoder(gram[0], np.diagonal(gram))

    def mean_coefficients(self, groups: Groups) -> Floats:
        """Fit each arm's expected outcome in the groups; raw coefficients (k, D)."""
        known = self._means.get(groups)
        if known is None:
            _, encoding = self.encoding(groups)
            known = self.encoded_mean_coefficients(groups, encoding) @ affine_map(encoding).T
            self._means[groups] = known
        return known

    def encoded_mean_coefficients(self, groups: Groups, encoding: Floats) -> Floats:
        """Do the same on the encoded columns, as (k, 1 + d)."""
        gram = np.stack([self.gram[list(group)].sum(axis=0) for group in groups], axis=1)
        cross = np.stack([self.cross[list(group)].sum(axis=0) for group in groups], axis=1)
        square = np.stack([self.square[list(group)].sum(axis=0) for group in groups], axis=1)
        return choose_penalty(gram, cross, square, encoding)

    def means(self, rows: npt.NDArray[Any], groups: Groups) -> Floats:
        """Return expected outcomes (rows, k) by what was fitted in the groups."""
        return np.asarray(self.basis.matrix[rows] @ self.mean_coefficients(groups).T)

    def scores(self, rows: npt.NDArray[Any], groups: Groups) -> Floats:
        """Doubly robust pseudo-outcomes (rows, k - 1) with means fitted in the groups.

        For action a against control 0, with known probabilities p (Kennedy 2023, equation 3)::

            m_a(x) - m_0(x) + 1[A=a] (Y - m_a(x)) / p_a(x) - 1[A=0] (Y - m_0(x)) / p_0(x)
        """
        means = self.means(rows, groups)
        taken = self.action[rows, None] == np.arange(self.arms)
        residual = (self.outcome[rows, None] - means) / self.logged[rows]
        corrected = means + np.where(taken, residual, 0.0)
        return np.asarray(corrected[:, 1:] - corrected[:, :1])

    def sample_scores(self, groups: Groups) -> tuple[npt.NDArray[np.intp], Floats]:
        """Rows of the groups and their pseudo-outcomes, each group's fitted in the others."""
        rows = self.sample_rows(groups)
        scores = np.empty((len(rows), self.arms - 1))
        for group in groups:
            others = tuple(other for other in groups if other != group)
            place = np.isin(self.parts[rows], group)
            scores[place] = self.scores(rows[place], others)
        return rows, scores

    def require_arms(self, groups: Groups, what: str) -> None:
        """Refuse a sample in which some arm has too few rows."""
        parts = [part for group in groups for part in group]
        counts = self.gram[parts, :, 0, 0].sum(axis=0)
        arm = int(np.argmin(counts))
        if counts[arm] < FEWEST_IN_ARM:
            raise Refused(
                f"too few customers to learn an effect: {int(counts[arm])} in an arm",
                f"{what}, action {arm}",
                f"it takes {FEWEST_IN_ARM} or more for every action",
            )


def _checked(
    n: int, action: npt.ArrayLike, outcome: npt.ArrayLike, logged: npt.ArrayLike
) -> tuple[Ints, Floats, Floats]:
    outcomes = np.asarray(outcome, dtype=np.float64)
    probabilities = np.asarray(logged, dtype=np.float64)
    actions = np.asarray(action, dtype=np.int64)
    if n == 0:
        raise Refused("there are no rows to learn from", "features", "import a trial first")
    if actions.shape != (n,) or outcomes.shape != (n,):
        raise InputError(
            "lengths differ",
            f"features {n}, action {actions.shape}, outcome {outcomes.shape}",
            "pass one action and one outcome a row",
        )
    if probabilities.ndim != 2 or probabilities.shape[0] != n or probabilities.shape[1] < 2:
        raise InputError(
            "probabilities are not a matrix",
            f"shape {probabilities.shape}",
            "pass one column for each action, control first",
        )
    if actions.min() < 0 or actions.max() >= probabilities.shape[1]:
        raise InputError("unknown action", f"number {actions.max()}", "pass a probability for it")
    if not ((probabilities > 0.0) & (probabilities <= 1.0)).all():
        bad = int(np.flatnonzero(~((probabilities > 0.0) & (probabilities <= 1.0)).all(axis=1))[0])
        raise InputError(
            "probability outside (0, 1]", f"row {bad}", "log what the action was drawn with"
        )
    if not np.isfinite(outcomes).all():
        bad = int(np.flatnonzero(~np.isfinite(outcomes))[0])
        raise InputError("outcome is not a number", f"row {bad}", "leave the row out")
    return actions, outcomes, probabilities
