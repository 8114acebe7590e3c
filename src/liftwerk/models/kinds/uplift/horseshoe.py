"""Linear regression that keeps a few strong features and pulls the rest to nothing.

Ridge pulls every coefficient alike, so that what it takes to silence forty idle features also
mutes the one that matters. The horseshoe (Carvalho, Polson and Scott 2010) gives each feature a
scale of its own under a half-Cauchy prior; here all columns of a feature share one. Local scales
come from a few mean-field steps (Wand et al. 2011, section 4.2 for the half-Cauchy), the global
scale is averaged over a grid by its evidence: nothing is picked, so nothing jumps.
"""

from __future__ import annotations

import numpy as np

from liftwerk.models.design import Floats, Ints

GLOBAL_PENALTIES: Floats = np.logspace(-3.0, 1.5, 7)
"""Penalties per row that the average over global scales runs over, on standardised columns."""

STEPS = 20


def horseshoe(gram: Floats, cross: Floats, square: Floats, rows: float, sources: Ints) -> Floats:
    """Estimate the coefficients of m regressions on the same centred columns.

    Parameters
    ----------
    gram : ndarray, shape (d, d)
        ``E'E`` of centred, standardised columns.
    cross : ndarray, shape (m, d)
        ``E'y`` of each centred target.
    square : ndarray, shape (m,)
        ``y'y``.
    rows : float
        How many rows there are.
    sources : ndarray of int, shape (d,)
        The feature that each column belongs to.

    Returns
    -------
    ndarray, shape (m, d)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> e = rng.normal(size=(2000, 8))
    >>> y = e[:, 0] + 3.0 * rng.normal(size=2000)
    >>> found = horseshoe(e.T @ e, (y @ e)[None], np.array([y @ y]), 2000.0, np.arange(8))
    >>> bool(found[0, 0] > 0.85), bool(np.abs(found[0, 1:]).max() < 0.08)
    (True, True)
    """
    targets, width = cross.shape
    if width == 0:
        return np.zeros((targets, 0))
    noise = _noise(gram, cross, square, rows)
    member = (sources[:, None] == np.unique(sources)).astype(np.float64)
    size = member.sum(axis=0)
    # sigma^2 / tau^2 = penalty * rows, so the global variance tau^2 is in the target's unit.
    tau2 = noise[:, None] / (GLOBAL_PENALTIES * rows)
    data = (gram / noise[:, None, None])[:, None]
    right = np.repeat((cross / noise[:, None])[:, None], len(GLOBAL_PENALTIES), axis=1)
    diagonal = np.eye(width, dtype=bool)
    local = np.ones((*tau2.shape, member.shape[1]))
    for _ in range(STEPS):
        precision = np.repeat(data, len(GLOBAL_PENALTIES), axis=1)
        precision[:, :, diagonal] += (local / tau2[..., None]) @ member.T
        covariance = np.linalg.inv(precision)
        mean = np.einsum("mrij,mrj->mri", covariance, right)
        second = (np.square(mean) + covariance[:, :, diagonal]) @ member
        # E[1 / lambda^2] given E[1 / nu] = 1 / (1 + E[1 / lambda^2]).
        local = 0.5 * (size + 1.0) / (1.0 / (1.0 + local) + 0.5 * second / tau2[..., None])
    prior = (local / tau2[..., None]) @ member.T
    precision = np.repeat(data, len(GLOBAL_PENALTIES), axis=1)
    precision[:, :, diagonal] += prior
    mean = np.linalg.solve(precision, right[..., None])[..., 0]
    evidence = (
        0.5 * np.einsum("mri,mri->mr", mean, right)
        - 0.5 * (np.linalg.slogdet(precision)[1] - np.log(prior).sum(axis=-1))
        - np.log1p(1.0 / local).sum(axis=-1)
    )
    weight = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("mr,mri->mi", weight, mean))


def _noise(gram: Floats, cross: Floats, square: Floats, rows: float) -> Floats:
    """Variance that an all but unpenalised fit leaves; 1 where there is nothing to explain."""
    plain = np.linalg.solve(gram + 1e-4 * rows * np.eye(len(gram)), cross.T).T
    left = square - 2.0 * (plain * cross).sum(axis=1) + ((plain @ gram) * plain).sum(axis=1)
    nothing = left <= 1e-20 * np.maximum(square, 1e-280)
    return np.where(nothing, 1.0, left / rows)
