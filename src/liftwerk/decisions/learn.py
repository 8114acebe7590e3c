"""Learn, for each fold, from the folds it may learn from, so that policies can be valued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.models.design import Features, as_design
from liftwerk.models.kinds.uplift.model import UpliftModel, fit_uplift
from liftwerk.stats.round_robin import assign, round_robin, uncorrelated

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

FOLDS = 5


@dataclass(frozen=True)
class Turns:
    """What each fold's model says about its own rows, which it was fitted without.

    Parameters
    ----------
    folds : (n,) int array
    effects : (n, k - 1) float array
        Expected effects over control.
    means : (n, k) float array
        Expected outcome under each action.
    models : tuple of UpliftModel
        The model of each fold.
    """

    folds: Integers
    effects: Floats
    means: Floats
    models: tuple[UpliftModel, ...]


def learn_in_turn(
    features: Features,
    action: Integers,
    outcome: Floats,
    logged: Floats,
    rng: np.random.Generator,
    learns_from: NDArray[np.bool_] | None = None,
) -> Turns:
    """Fit one model a fold on the folds it learns from, and ask it about the fold.

    Parameters
    ----------
    features : Design, pyarrow.Table or (n, p) array
    action : (n,) int array
        0 is control.
    outcome : (n,) float array
    logged : (n, k) float array
        Known probabilities.
    rng : numpy.random.Generator
        Deals the rows to folds.
    learns_from : (K, K) bool array, optional
        Entry (f, g): fold f learns from fold g. A round robin of five, unless given.

    Returns
    -------
    Turns

    Raises
    ------
    ValueError
        If two folds learn from each other: their errors would be correlated, and intervals from
        the result too short (`stats.round_robin`).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, action = rng.normal(size=(3000, 2)), rng.integers(0, 2, 3000)
    >>> outcome = x[:, 0] * action + rng.normal(size=3000)
    >>> turns = learn_in_turn(x, action, outcome, np.full((3000, 2), 0.5), rng)
    >>> turns.effects.shape, len(turns.models), bool(np.isfinite(turns.effects).all())
    ((3000, 1), 5, True)
    """
    if learns_from is None:
        learns_from = round_robin(FOLDS)
    if not uncorrelated(learns_from):
        raise ValueError("two folds learn from each other, or one from itself")
    design = as_design(features)
    folds = assign(len(design), learns_from.shape[0], rng)
    effects = np.empty((len(design), logged.shape[1] - 1))
    means = np.empty(logged.shape)
    models = []
    for fold, sources in enumerate(learns_from):
        part = np.flatnonzero(sources[folds])
        rows = np.flatnonzero(folds == fold)
        model = fit_uplift(design.take(part), action[part], outcome[part], logged[part])
        effects[rows] = model.effects(design.take(rows))
        means[rows] = model.means(design.take(rows))
        models.append(model)
    return Turns(folds, effects, means, tuple(models))
