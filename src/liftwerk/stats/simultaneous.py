"""Intervals that hold for several estimates at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

DRAWS = 100_000
# A column whose spread is rounding noise beside its size is a constant, not a variable.
CONSTANT = 1e-12


@dataclass(frozen=True)
class Joint:
    """Standard errors and the critical value that makes their intervals hold together."""

    standard_errors: Floats
    critical: float


def covariance_of_means(influence: Floats, folds: NDArray[np.int64] | None = None) -> Floats:
    """Estimate the covariance matrix of the means of influence columns.

    Parameters
    ----------
    influence : (n, m) float array
    folds : (n,) int array, optional
        Rows are centred within their fold: policies of different folds may have different values,
        and that difference is no error.

    Returns
    -------
    (m, m) float array

    Examples
    --------
    >>> covariance_of_means(np.array([[0.0], [2.0]]))
    array([[1.]])
    """
    n = influence.shape[0]
    if folds is None:
        parts = [influence]
    else:
        parts = [influence[folds == fold] for fold in np.unique(folds)]
    total = np.zeros((influence.shape[1], influence.shape[1]))
    for rows in parts:
        size = rows.shape[0]
        if size < 2:
            raise ValueError(f"a fold of {size} row has no spread")
        centred = rows - rows.mean(axis=0)
        total += centred.T @ centred * (size / (size - 1))
    return np.asarray(total / n**2, dtype=np.float64)


def joint(covariance: Floats, rng: np.random.Generator, level: float = 0.95) -> Joint:
    r"""Find the critical value of the largest of several correlated t statistics.

    The interval of each estimate is its value plus and minus ``critical`` standard errors, with
    the `level` quantile of :math:`\max_j |Z_j|`, Z normal with the estimates' correlation (single
    step, Hothorn, Bretz and Westfall, 2008, Biometrical Journal 50(3)), by simulation.

    Parameters
    ----------
    covariance : (m, m) float array
        Of the estimates; a column without variance takes no part and gets standard error 0.
    rng : numpy.random.Generator
    level : float

    Returns
    -------
    Joint

    Examples
    --------
    >>> one = joint(np.array([[4.0]]), np.random.default_rng(0))
    >>> twice = joint(np.full((2, 2), 4.0), np.random.default_rng(0))
    >>> abs(one.critical - 1.96) < 0.02, one.critical == twice.critical
    (True, True)
    """
    variance = np.clip(np.diag(covariance), 0.0, None)
    errors = np.sqrt(variance)
    moving = _distinct(covariance, errors)
    if not moving:
        return Joint(errors, 0.0)
    correlation = covariance[np.ix_(moving, moving)] / np.outer(errors[moving], errors[moving])
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    draws = rng.standard_normal((DRAWS, len(moving)))
    largest = np.abs(draws @ root.T).max(axis=1)
    return Joint(errors, float(np.quantile(largest, level)))


def _distinct(covariance: Floats, errors: Floats) -> list[int]:
    """Columns that vary, one of each set of perfectly correlated ones."""
    kept: list[int] = []
    scale = float(errors.max(initial=0.0))
    for column in range(errors.shape[0]):
        if errors[column] <= CONSTANT * scale:
            continue
        products = errors[kept] * errors[column]
        if (np.abs(covariance[kept, column]) >= products * (1.0 - 1e-10)).any():
            continue
        kept.append(column)
    return kept
