"""The values of two arms, less what covariates tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.difference.kinds import Kind
from liftwerk.stats.difference.pair import Pair, welch
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.simultaneous import CONSTANT

Floats: TypeAlias = NDArray[np.float64]

RANK = 1e-10
"""Part of a covariate's variance below which it is made of the other covariates."""


@dataclass(frozen=True, eq=False)
class Adjusted:
    """Values of two arms after adjustment.

    Attributes
    ----------
    control, treated : float
    covariance : (2, 2) float array
        Of the two values.
    covariates : int
        Independent ones that were used.
    freedom : float
        Degrees of freedom of the variance of their difference.
    """

    control: float
    treated: float
    covariance: Floats
    covariates: int
    freedom: float


def adjust(kind: Kind, arms: Pair) -> Adjusted | Unknown:
    r"""Take out what covariates tell, and say how uncertain the two values are together.

    The difference :math:`d` of the arms' values becomes :math:`d - \theta^T z` (see `contrast`).
    Each arm's value moves by its share: the covariates' means are taken to where both arms
    together have them.

    Parameters
    ----------
    kind : Kind
    arms : Pair
        The kind's columns, then covariates.

    Returns
    -------
    Adjusted or Unknown
    """
    k = len(arms.means) // 2
    own = kind.columns
    values, rows = np.zeros(2), np.zeros((2, 2 * k))
    for arm in (0, 1):
        columns = slice(arm * k, arm * k + own)
        answer = kind.value(arms.means[columns])
        if isinstance(answer, Unknown):
            return answer
        values[arm], rows[arm, columns] = answer
    apart = np.zeros((k - own, 2 * k))
    apart[:, own:k] = -np.eye(k - own)
    apart[:, k + own :] = np.eye(k - own)
    theta, used = _theta(apart, arms.covariance, rows[1] - rows[0])
    control, treated = arms.sizes
    shift = np.array([treated, -control]) / (control + treated)
    values = values + shift * float(theta @ (apart @ arms.means))
    rows = rows + np.outer(shift, theta @ apart)
    covariance = rows @ arms.covariance @ rows.T
    contrast = rows[1] - rows[0]
    parts = [
        float(contrast[half] @ arms.covariance[half, half] @ contrast[half])
        for half in (slice(0, k), slice(k, 2 * k))
    ]
    smallest = CONSTANT * float(np.abs(values).max())
    if sum(parts) <= smallest**2:
        return Unknown("nothing varied, so nothing says how sure this is", "units that differ")
    freedoms = (float(control - arms.strata), float(treated - arms.strata))
    left = sum(freedoms) - used
    freedom = welch((parts[0], parts[1]), freedoms) - used
    if min(left, freedom) < 1.0:
        return Unknown("there are nearly as many covariates as units", "fewer covariates")
    covariance *= sum(freedoms) / left
    return Adjusted(float(values[0]), float(values[1]), covariance, used, freedom)


def _theta(apart: Floats, covariance: Floats, contrast: Floats) -> tuple[Floats, int]:
    """Find the weights of least variance; covariates that repeat others or are constant count 0."""
    own = apart @ covariance @ apart.T
    shared = apart @ covariance @ contrast
    deviations = np.sqrt(np.clip(np.diag(own), 0.0, None))
    moving = deviations > 0.0
    theta = np.zeros(len(deviations))
    if not moving.any():
        return theta, 0
    scale = deviations[moving]
    values, vectors = np.linalg.eigh(own[np.ix_(moving, moving)] / np.outer(scale, scale))
    kept = values > RANK * len(values)
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    theta[moving] = inverse @ (shared[moving] / scale) / scale
    return theta, int(kept.sum())
