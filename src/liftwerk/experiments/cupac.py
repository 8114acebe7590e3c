"""What covariates foretell of outcomes, by models that did not learn from the unit they foretell.

Tang, Huang, Kastelman and Bauman (2020), *Control using predictions as covariates in switchback
experiments*, and Guo, Coey, Konutgan, Li, Schoener and Goldman (2021), *Machine learning for
variance reduction in online experiments* (MLRATE), NeurIPS: the prediction is one covariate, taken
out by regression as any other (`liftwerk.stats.difference`), so that a poor model costs nothing.
Folds make it independent of the unit's own outcome; arms are not told to it, so that it can take no
part of the effect.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.models.design import Design
from liftwerk.models.encode import Encoder
from liftwerk.models.kinds.uplift.ridge import choose_penalty

Floats: TypeAlias = NDArray[np.float64]

FOLDS = 5
GROUPS = 4
"""Of the rows that are learned from: the penalty is chosen by what is left out in turn."""

FEWEST = 100
"""Units below which nothing is learned."""


def foretell(design: Design, outcomes: Floats, rng: np.random.Generator) -> Floats:
    """Predict outcomes of each unit from the others.

    Parameters
    ----------
    design : Design
        Covariates of n units.
    outcomes : (m, n) float array
    rng : numpy.random.Generator
        Deals units to folds.

    Returns
    -------
    (m, n) float array

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> before = rng.normal(size=1000)
    >>> spend = 3.0 * before + rng.normal(size=1000)
    >>> told = foretell(Design.from_matrix(before[:, None]), spend[None], rng)
    >>> round(float(np.corrcoef(told[0], spend)[0, 1]), 2)
    0.95
    """
    n = len(design)
    told = np.repeat(outcomes.mean(axis=1)[:, None], n, axis=1)
    if n < FEWEST:
        return told
    fold = rng.permutation(n) % FOLDS
    group = rng.permutation(n) % GROUPS
    for held_out in range(FOLDS):
        rest, asked = fold != held_out, fold == held_out
        encoder = Encoder.fit(design.take(rest))
        rows = _with_one(encoder.transform(design.take(rest)))
        coefficients = _fitted(rows, outcomes[:, rest], group[rest])
        told[:, asked] = coefficients @ _with_one(encoder.transform(design.take(asked))).T
    return told


def _with_one(encoded: Floats) -> Floats:
    return np.column_stack([np.ones(len(encoded)), encoded])


def _fitted(rows: Floats, outcomes: Floats, group: NDArray[np.int64]) -> Floats:
    """Fit ridge regressions from sums by group, (m, 1 + d)."""
    parts = [np.flatnonzero(group == each) for each in range(GROUPS)]
    gram = np.stack([rows[part].T @ rows[part] for part in parts])
    cross = np.stack([outcomes[:, part] @ rows[part] for part in parts], axis=1)
    square = np.stack([np.square(outcomes[:, part]).sum(axis=1) for part in parts], axis=1)
    m, width = len(outcomes), rows.shape[1]
    encoding = np.eye(width)[:, 1:]
    return choose_penalty(np.repeat(gram[None], m, axis=0), cross, square, encoding)
