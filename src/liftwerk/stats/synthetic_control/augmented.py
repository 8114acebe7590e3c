"""The ridge-augmented synthetic control with unit fixed effects, and how much to augment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.synthetic_control.panel import Panel
from liftwerk.stats.synthetic_control.simplex import Simplex

Floats: TypeAlias = NDArray[np.float64]

PENALTIES = 20
SMALLEST = 1e-6
"""Least penalty that is tried, as a part of the largest eigenvalue."""

FOLDS = 6
"""Blocks of the history that are held back, one at a time, at most."""


@dataclass(frozen=True)
class Fit:
    """A counterfactual.

    Parameters
    ----------
    weights : (donors,) float array
        Sum to one; some are negative where the fit was augmented.
    gap : (periods,) float array
        Treated less counterfactual, around 0 before the test.
    penalty : float
        The ridge penalty a period; infinite where nothing was augmented.
    """

    weights: Floats
    gap: Floats
    penalty: float

    def effect(self, before: int) -> float:
        """Give the mean gap of the test: the effect on an average treated market and period."""
        return float(self.gap[before:].mean())


def fit(panel: Panel, penalty: float = np.inf) -> Fit:
    r"""Fit the augmented synthetic control on the periods before the test.

    Ben-Michael, Feller and Rothstein (2021), *The augmented synthetic control method*, JASA
    116(536), section 4: with the series less their own mean before the test (unit fixed effects,
    their section 6), X_1 of the treated, X_0 of the donors and X_0 centred over them,

    .. math::
        \hat\gamma^{aug} = \hat\gamma^{scm}
        + (X_1 - X_0'\hat\gamma^{scm})'(X_0'X_0 + \lambda I)^{-1}X_0'

    Parameters
    ----------
    panel : Panel
    penalty : float
        lambda a period before the test; infinite for the plain synthetic control.

    Returns
    -------
    Fit

    Examples
    --------
    >>> donors = np.random.default_rng(0).normal(size=(30, 4))
    >>> treated = donors[:, :2].mean(axis=1, keepdims=True) + 5.0
    >>> treated[25:] += 2.0
    >>> found = fit(Panel(treated, donors, before=25))
    >>> round(found.effect(25), 6), found.weights.round(6).tolist()
    (2.0, [0.5, 0.5, 0.0, 0.0])
    """
    before = panel.before
    target = panel.mean - panel.mean[:before].mean()
    donors = panel.donors - panel.donors[:before].mean(axis=0)
    weights = Simplex(donors[:before]).weights(target[:before])
    gap = target - donors @ weights
    if np.isfinite(penalty):
        shift = _shift(centred(donors[:before]), gap[:before], penalty * before)
        weights = weights + shift
        gap = target - donors @ weights
    return Fit(weights, gap, penalty)


def centred(donors: Floats) -> Floats:
    """Take from each period the mean over the donors, so that what is added sums to nothing."""
    return np.asarray(donors - donors.mean(axis=1, keepdims=True), dtype=np.float64)


def _shift(columns: Floats, rest: Floats, penalty: float) -> Floats:
    """Regress what the simplex left over on the donors, with a ridge penalty."""
    products = columns.T @ columns
    products[np.diag_indices_from(products)] += penalty
    return np.asarray(np.linalg.solve(products, columns.T @ rest), dtype=np.float64)


def choose_penalty(panel: Panel) -> float:
    """Choose how much to augment by holding back blocks of the history.

    Each block is as long as the test (shorter where there would be fewer than six), since that is
    what has to be predicted; weights, fixed effects and ridge are fitted on the other periods. Of
    the penalties whose mean squared error is within one standard error of the least, the largest
    is taken (Breiman et al. 1984, as in Ben-Michael et al. 2021, section 5.3): no augmentation
    where it gains nothing that can be seen.

    Parameters
    ----------
    panel : Panel
        Only the periods before the test are read.

    Returns
    -------
    float
        The penalty a period; infinite for none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> donors = rng.normal(size=(40, 4))
    >>> inside = Panel(donors[:, :2] + rng.normal(size=(40, 2)), donors, before=36)
    >>> outside = Panel(3.0 * donors[:, :1], donors, before=36)
    >>> choose_penalty(inside), choose_penalty(outside) < 1.0
    (inf, True)
    """
    target, donors = panel.history()
    length = max(1, min(panel.during, panel.before // FOLDS))
    folds = min(FOLDS, panel.before // length)
    largest = float(np.linalg.norm(centred(donors - donors.mean(axis=0)), 2)) ** 2 / panel.before
    if largest == 0.0:
        return np.inf
    penalties = largest * np.geomspace(1.0, SMALLEST, PENALTIES)
    errors = np.empty((folds, PENALTIES + 1))
    for fold in range(folds):
        held = np.zeros(panel.before, dtype=np.bool_)
        end = panel.before - fold * length
        held[end - length : end] = True
        errors[fold] = _errors(target, donors, held, penalties)
    mean = errors.mean(axis=0)
    best = int(mean.argmin())
    spread = float(errors[:, best].std(ddof=1)) / np.sqrt(folds)
    # The first is no augmentation, the others are ever less penalised.
    chosen = int(np.flatnonzero(mean <= mean[best] + spread)[0])
    return float(np.concatenate([[np.inf], penalties])[chosen])


def _errors(target: Floats, donors: Floats, held: NDArray[np.bool_], penalties: Floats) -> Floats:
    """Predict held-back periods with no augmentation and with each penalty: squared errors."""
    kept = ~held
    target = target - target[kept].mean()
    donors = donors - donors[kept].mean(axis=0)
    rest = target - donors @ Simplex(donors[kept]).weights(target[kept])
    columns = centred(donors)
    products = columns[kept].T @ columns[kept]
    values, vectors = np.linalg.eigh(products)
    turned = vectors.T @ (columns[kept].T @ rest[kept])
    ridges = np.clip(values, 0.0, None) + penalties[:, None] * int(kept.sum())
    predicted = columns[held] @ vectors @ (turned / ridges).T
    errors = np.empty(penalties.shape[0] + 1)
    errors[0] = (rest[held] ** 2).mean()
    errors[1:] = ((rest[held][:, None] - predicted) ** 2).mean(axis=0)
    return errors
