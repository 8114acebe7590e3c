"""Two arms side by side: means of their columns, and how uncertain these are together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from liftwerk.stats.moments import Moments

Floats: TypeAlias = NDArray[np.float64]
Both: TypeAlias = tuple[Moments, Moments]

FEWEST = 20
"""Units of either arm below which a stratum is joined with others."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Means of k columns in control and in the treated arm, and their covariance.

    `...` is nothing for one pair of arms, (m,) for m pairs at once.

    Attributes
    ----------
    sizes : (..., 2) float array
        Units of control and of the treated arm.
    strata : int
        Groups within which the arms were compared.
    means : (..., 2k) float array
        Those of control, then those of the treated arm.
    covariance : (..., 2k, 2k) float array
        Of these means.
    """

    sizes: Floats
    strata: int
    means: Floats
    covariance: Floats


def pair(strata: Sequence[Both], freedom: int = 1) -> Pair:
    r"""Weigh the strata of two arms alike, whatever came into either by chance.

    Post-stratification (Miratrix, Sekhon and Yu, 2013, JRSS B 75(2)), for units that are a sample:
    with :math:`w_s` the share of a stratum in both arms together, the means are
    :math:`\sum w_s \bar x_s`, their covariance is

    .. math:: \sum_s w_s^2 \, \Sigma_s / n_s
              + \frac1n \sum_s w_s (\bar x_s - \bar x)(\bar x_s - \bar x)^T,

    the second part since the shares are those of a sample, too. Of one stratum it leaves what
    everybody knows.

    Parameters
    ----------
    strata : sequence of (control, treated)
        Moments of the same columns.
    freedom : int
        What is taken from n in a variance.

    Returns
    -------
    Pair

    Examples
    --------
    >>> one = pair([(Moments.of([[1.0, 3.0]]), Moments.of([[2.0, 6.0]]))])
    >>> one.means, np.diag(one.covariance)
    (array([2., 4.]), array([1., 4.]))
    """
    joined = _without_small(strata) if len(strata) > 1 else list(strata)
    n = np.array([[one.n for one in both] for both in joined], dtype=np.float64)
    shares = n.sum(axis=1) / n.sum()
    means = np.array([[one.means for one in both] for both in joined])
    products = np.array([[one.products for one in both] for both in joined])
    units = n[..., None, None]
    spread = products * shares[:, None, None, None] ** 2 / ((units - freedom) * units)
    each = means.reshape(len(joined), -1)
    mean = shares @ each
    covariance = side_by_side(spread.sum(axis=0))
    if len(joined) > 1:
        apart = each - mean
        covariance += (apart * shares[:, None]).T @ apart / n.sum()
    return Pair(n.sum(axis=0), len(joined), mean, covariance)


def side_by_side(covariances: Floats) -> Floats:
    """Put the covariances of two independent arms into one matrix.

    Parameters
    ----------
    covariances : (..., 2, k, k) float array

    Returns
    -------
    (..., 2k, 2k) float array

    Examples
    --------
    >>> side_by_side(np.array([[[1.0]], [[4.0]]]))
    array([[1., 0.],
           [0., 4.]])
    """
    k = covariances.shape[-1]
    whole = np.zeros((*covariances.shape[:-3], 2 * k, 2 * k))
    whole[..., :k, :k] = covariances[..., 0, :, :]
    whole[..., k:, k:] = covariances[..., 1, :, :]
    return whole


def of_clusters(arms: Pair) -> Pair:
    r"""Correct the covariance for the leverage of large clusters.

    Bell and McCaffrey (2002, Survey Methodology 28(2)) divide every squared residual by
    :math:`1 - h`, with :math:`h` the cluster's share of all units (CR2). If residuals grow with
    size and sizes are gamma distributed, that is, on average and beyond the :math:`n / (n - 1)`
    that is there already, a factor of :math:`1 + 2 \mathrm{cv}^2 / n` with the sizes' coefficient
    of variation, which moments tell.

    Parameters
    ----------
    arms : Pair
        Its second column is the size.

    Returns
    -------
    Pair
    """
    k = arms.means.shape[-1] // 2
    covariance = arms.covariance.copy()
    for arm in (0, 1):
        size = arm * k + 1
        factor = 1.0 + 2.0 * arms.covariance[..., size, size] / arms.means[..., size] ** 2
        block = slice(arm * k, (arm + 1) * k)
        covariance[..., block, block] *= factor[..., None, None]
    return Pair(arms.sizes, arms.strata, arms.means, covariance)


def total(strata: Sequence[Both]) -> Both:
    """Add up the strata of two arms.

    Examples
    --------
    >>> part = (Moments.of([[1.0]]), Moments.of([[2.0]]))
    >>> total([part, part])[0].n
    2
    """
    control, treated = strata[0]
    for more_control, more_treated in strata[1:]:
        control, treated = control + more_control, treated + more_treated
    return control, treated


def _without_small(strata: Sequence[Both]) -> list[Both]:
    """Join small strata until all are large: a variance takes some units of either arm."""
    waiting = sorted(strata, key=_smaller)
    large: list[Both] = []
    while waiting:
        first = waiting.pop(0)
        if _smaller(first) >= FEWEST or not (waiting or large):
            large.append(first)
        elif waiting:
            waiting[0] = total([first, waiting[0]])
            waiting.sort(key=_smaller)
        else:
            large[-1] = total([first, large[-1]])
    return large


def _smaller(both: Both) -> int:
    return min(both[0].n, both[1].n)
