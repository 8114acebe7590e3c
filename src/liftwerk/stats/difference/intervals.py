"""Intervals of the difference and the ratio of two values that are uncertain together."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


def of_difference(
    values: Floats, covariance: Floats, reach: tuple[Floats, Floats]
) -> tuple[Floats, ...]:
    """Give treated less control: value, low, high, standard error.

    Parameters
    ----------
    values : (..., 2) float array
        Control, treated.
    covariance : (..., 2, 2) float array
    reach : two (...) float arrays
        Standard errors down and up.

    Returns
    -------
    four (...) float arrays
    """
    value = values[..., 1] - values[..., 0]
    error = standard_error(covariance)
    down, up = reach
    return value, value - down * error, value + up * error, error


def standard_error(covariance: Floats) -> Floats:
    """Give the standard error of the difference of two values.

    Examples
    --------
    >>> float(standard_error(np.array([[9.0, 0.0], [0.0, 16.0]])))
    5.0
    """
    variance = covariance[..., 0, 0] + covariance[..., 1, 1] - 2.0 * covariance[..., 0, 1]
    return np.asarray(np.sqrt(np.clip(variance, 0.0, None)))


def of_ratio(
    values: Floats, covariance: Floats, reach: tuple[Floats, Floats]
) -> tuple[Floats, ...]:
    """Give treated over control, less 1: value, low, high, standard error.

    Fieller (1954), *Some problems in interval estimation*, JRSS B 16(2): all `r` for which treated
    less `r` times control is within so many standard errors of 0. At `r = 1` that is the question
    of the absolute difference, so that both intervals say the same of no difference.

    Parameters
    ----------
    values, covariance, reach : as for `of_difference`

    Returns
    -------
    four (...) float arrays
        Not a number where control's value is not shown to be above 0.

    Examples
    --------
    >>> reach = (np.array(1.96), np.array(1.96))
    >>> found = of_ratio(np.array([1.0, 1.1]), np.diag([1e-4, 1e-4]), reach)
    >>> [round(float(each), 4) for each in found]
    [0.1, 0.0713, 0.1296, 0.0149]
    """
    control, treated = values[..., 0], values[..., 1]
    own, other, both = covariance[..., 0, 0], covariance[..., 1, 1], covariance[..., 0, 1]
    base = np.where(control > 0.0, control, np.nan)
    ratio = treated / base
    spread = np.clip(other + ratio**2 * own - 2.0 * ratio * both, 0.0, None)
    low, high = (
        _end(values, covariance, each, side) for each, side in zip(reach, (-1, 1), strict=True)
    )
    return ratio - 1.0, low - 1.0, high - 1.0, np.sqrt(spread) / base


def _end(values: Floats, covariance: Floats, reach: Floats, side: int) -> Floats:
    """Solve Fieller's equation on one side."""
    control, treated = values[..., 0], values[..., 1]
    own, other, both = covariance[..., 0, 0], covariance[..., 1, 1], covariance[..., 0, 1]
    a = control**2 - reach**2 * own
    b = control * treated - reach**2 * both
    c = treated**2 - reach**2 * other
    root = np.sqrt(np.clip(b * b - a * c, 0.0, None))
    return np.asarray((b + side * root) / np.where((control > 0.0) & (a > 0.0), a, np.nan))
