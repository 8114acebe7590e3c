"""Ridge regression from sums alone: a path of penalties, chosen by the loss on left-out groups."""

from __future__ import annotations

import numpy as np

from liftwerk.models.design import Floats

PENALTIES: Floats = np.logspace(-4.0, 2.0, 13)
"""Candidate penalties per row, on standardised columns; heavier than the last is a constant."""


def ridge_path(gram: Floats, cross: Floats, encoding: Floats, penalties: Floats) -> Floats:
    """Solve ridge regressions with a free intercept for every penalty.

    Minimises ``sum (y - c - E b)^2 + penalty * n * |b|^2`` with ``E = Z @ encoding``.

    Parameters
    ----------
    gram : ndarray, shape (..., D, D)
        ``Z'Z`` of raw columns, the first of which is 1.
    cross : ndarray, shape (..., D)
        ``Z'y``.
    encoding : ndarray, shape (D, d)
        The part's encoding as a linear map of the raw columns.
    penalties : ndarray, shape (r,)
        Penalties per row.

    Returns
    -------
    ndarray, shape (..., r, 1 + d)
        Intercept and coefficients of the encoded columns.

    Examples
    --------
    >>> z = np.column_stack([np.ones(4), [-1.0, 1.0, -1.0, 1.0]])
    >>> y = np.array([0.0, 2.0, 0.0, 2.0])
    >>> encoding = np.array([[0.0], [1.0]])
    >>> ridge_path(z.T @ z, z.T @ y, encoding, np.array([1e-12, 1.0])).round(6).tolist()
    [[1.0, 1.0], [1.0, 0.5]]
    """
    affine = affine_map(encoding)
    moments = affine.T @ gram @ affine
    right = cross @ affine
    n = np.maximum(moments[..., 0, 0], 1.0)
    mean = moments[..., 0, 1:] / n[..., None]
    centred = moments[..., 1:, 1:] - n[..., None, None] * mean[..., :, None] * mean[..., None, :]
    target = right[..., 1:] - mean * right[..., :1]
    values, vectors = np.linalg.eigh(centred)
    rotated = np.einsum("...ij,...i->...j", vectors, target)
    shrunk = rotated[..., None, :] / (
        np.maximum(values, 0.0)[..., None, :] + (penalties * n[..., None])[..., :, None]
    )
    slopes = np.einsum("...ij,...rj->...ri", vectors, shrunk)
    intercept = right[..., :1] / n[..., None] - np.einsum("...rj,...j->...r", slopes, mean)
    return np.concatenate([intercept[..., None], slopes], axis=-1)


def affine_map(encoding: Floats) -> Floats:
    """Put the intercept's column before the encoding, so that ``Z @ affine`` is ``[1, E]``."""
    affine = np.zeros((len(encoding), encoding.shape[1] + 1))
    affine[0, 0] = 1.0
    affine[:, 1:] = encoding
    return affine


def squared_loss(raw: Floats, gram: Floats, cross: Floats, square: Floats) -> Floats:
    """Sum of squared errors of raw coefficients (..., r, D) on a part known by its sums."""
    explained = np.einsum("...rd,...d->...r", raw, cross)
    norm = np.einsum("...rd,...de,...re->...r", raw, gram, raw, optimize=True)
    return np.asarray(square[..., None] - 2.0 * explained + norm)


def choose_penalty(gram: Floats, cross: Floats, square: Floats, encoding: Floats) -> Floats:
    """Pick penalties by the loss on left-out groups, and fit on all groups.

    Parameters
    ----------
    gram, cross, square : ndarray, shapes (m, G, D, D), (m, G, D), (m, G)
        ``Z'Z``, ``Z'y`` and ``y'y`` of m regressions in G groups of rows.
    encoding : ndarray, shape (D, d)
        The encoding of all groups together.

    Returns
    -------
    ndarray, shape (m, 1 + d)
        Intercepts and coefficients of the encoded columns.
    """
    total_gram, total_cross = gram.sum(axis=1), cross.sum(axis=1)
    rest = ridge_path(total_gram[:, None] - gram, total_cross[:, None] - cross, encoding, PENALTIES)
    raw = rest @ affine_map(encoding).T
    loss = squared_loss(raw, gram, cross, square).sum(axis=1)
    # The heaviest of equally good penalties: where nothing is to be found, nothing is claimed.
    best = len(PENALTIES) - 1 - np.argmin(loss[:, ::-1], axis=1)
    paths = ridge_path(total_gram, total_cross, encoding, PENALTIES)
    return np.asarray(paths[np.arange(len(paths)), best])
