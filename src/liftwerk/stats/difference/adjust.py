"""The values of two arms, less what covariates tell of them: for one pair of arms, or many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.difference.kinds import Kind
from liftwerk.stats.difference.pair import Pair
from liftwerk.stats.estimate import Unknown
from liftwerk.stats.simultaneous import CONSTANT

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

RANK = 1e-10
"""Part of a covariate's variance below which it is made of the other covariates."""
TINY = np.finfo(np.float64).tiny
CONSTANT_ARMS = Unknown("nothing varied, so nothing says how sure this is", "units that differ")
FEW = Unknown("there are nearly as many covariates as units", "fewer covariates")


@dataclass(frozen=True, eq=False)
class Adjusted:
    """Values of arms after adjustment; `...` is nothing for one pair, (m,) for m pairs.

    Attributes
    ----------
    values : (..., 2) float array
        Control, treated.
    covariance : (..., 2, 2) float array
        Of the two values.
    freedom : (...) float array
        Degrees of freedom of the variance of their difference.
    covariates : int
        How many there were.
    faults : list of (bool array, Unknown)
        Which pairs have no answer, and why.
    """

    values: Floats
    covariance: Floats
    freedom: Floats
    covariates: int
    faults: list[tuple[Bools, Unknown]]

    def why_not(self) -> Unknown | None:
        """Say why the one pair has no answer, if so."""
        return next((why for fault, why in self.faults if fault.any()), None)


def adjust(kind: Kind, arms: Pair) -> Adjusted:
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
    Adjusted
    """
    lead, k, own = arms.means.shape[:-1], arms.means.shape[-1] // 2, kind.columns
    values, rows = np.zeros((*lead, 2)), np.zeros((*lead, 2, 2 * k))
    fault = np.zeros(lead, dtype=np.bool_)
    for arm in (0, 1):
        columns = slice(arm * k, arm * k + own)
        fault = fault | kind.fault(arms.means[..., columns])
        values[..., arm], rows[..., arm, columns] = kind.value(arms.means[..., columns])
    used = np.zeros(lead, dtype=np.int64)
    if k > own:
        apart = np.hstack([-np.eye(k)[own:], np.eye(k)[own:]])
        theta, used = _theta(apart, arms.covariance, rows[..., 1, :] - rows[..., 0, :])
        control, treated = arms.sizes[..., 0], arms.sizes[..., 1]
        shift = np.stack([treated, -control], axis=-1) / (control + treated)[..., None]
        chance = (theta * (arms.means @ apart.T)).sum(axis=-1)
        values = values + shift * chance[..., None]
        rows = rows + shift[..., :, None] * (theta @ apart)[..., None, :]
    covariance = rows @ arms.covariance @ np.swapaxes(rows, -1, -2)
    parts = _parts(rows[..., 1, :] - rows[..., 0, :], arms.covariance)
    freedoms = arms.sizes - arms.strata
    whole = freedoms.sum(axis=-1)
    variance = parts.sum(axis=-1)
    constant = variance <= (CONSTANT * np.abs(values).max(axis=-1)) ** 2
    # Welch (1947): degrees of freedom of a sum of two estimated variances.
    shares = parts / np.where(constant, 1.0, variance)[..., None]
    freedom = 1.0 / np.maximum((shares**2 / freedoms).sum(axis=-1), TINY) - used
    few = np.minimum(whole - used, freedom) < 1.0
    covariance = covariance * (whole / np.maximum(whole - used, 1.0))[..., None, None]
    faults = [(fault, kind.why), (constant, CONSTANT_ARMS), (few, FEW)]
    return Adjusted(values, covariance, freedom, k - own, faults)


def _parts(contrast: Floats, covariance: Floats) -> Floats:
    """Give what either arm adds to the variance of a contrast."""
    k = contrast.shape[-1] // 2
    halves = (slice(0, k), slice(k, 2 * k))
    return np.stack(
        [
            (
                (contrast[..., None, half] @ covariance[..., half, half])[..., 0, :]
                * contrast[..., half]
            ).sum(axis=-1)
            for half in halves
        ],
        axis=-1,
    )


def _theta(apart: Floats, covariance: Floats, contrast: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Find the weights of least variance; covariates that repeat others or are constant count 0."""
    shared = (covariance @ contrast[..., None])[..., 0] @ apart.T
    own = apart @ covariance @ apart.T
    deviations = np.sqrt(np.clip(np.diagonal(own, axis1=-2, axis2=-1), 0.0, None))
    scale = np.where(deviations > 0.0, deviations, 1.0)
    values, vectors = np.linalg.eigh(own / (scale[..., :, None] * scale[..., None, :]))
    kept = values > RANK * values.shape[-1]
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    turned = (shared / scale)[..., None, :] @ vectors
    theta = ((turned * inverse[..., None, :]) @ np.swapaxes(vectors, -1, -2))[..., 0, :] / scale
    return theta, kept.sum(axis=-1)
