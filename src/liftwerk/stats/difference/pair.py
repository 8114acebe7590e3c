"""Two arms side by side: means of their columns, and how uncertain these are together."""

from __future__ import annotations

import math
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

    Attributes
    ----------
    sizes : (int, int)
        Units of control and of the treated arm.
    strata : int
        Groups within which the arms were compared.
    means : (2k,) float array
        Those of control, then those of the treated arm.
    covariance : (2k, 2k) float array
        Of these means.
    """

    sizes: tuple[int, int]
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
    joined = _without_small(strata)
    sizes = tuple(sum(both[arm].n for both in joined) for arm in (0, 1))
    total = sum(sizes)
    k = len(joined[0][0].means)
    shares = np.array([(control.n + treated.n) / total for control, treated in joined])
    each = np.array([np.concatenate([c.means, t.means]) for c, t in joined])
    means = shares @ each
    apart = each - means
    covariance = (apart * shares[:, None]).T @ apart / total
    for share, both in zip(shares, joined, strict=True):
        for arm, one in enumerate(both):
            block = slice(arm * k, (arm + 1) * k)
            covariance[block, block] += share**2 * one.products / ((one.n - freedom) * one.n)
    return Pair((sizes[0], sizes[1]), len(joined), means, covariance)


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


def welch(variances: tuple[float, float], freedoms: tuple[float, float]) -> float:
    """Give the degrees of freedom of a sum of two estimated variances (Welch, 1947).

    Parameters
    ----------
    variances : (float, float)
        What either arm adds to the variance of the difference.
    freedoms : (float, float)
        On how many degrees of freedom each rests.

    Returns
    -------
    float

    Examples
    --------
    >>> welch((1.0, 1.0), (9.0, 9.0))
    18.0
    """
    parts = [variance**2 / freedom for variance, freedom in zip(variances, freedoms, strict=True)]
    return math.fsum(variances) ** 2 / math.fsum(parts)
