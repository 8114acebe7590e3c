"""Whether arms have as many units as they should: the first sign that an experiment is broken."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, gammaln

from liftwerk.stats.estimate import Unknown

Floats: TypeAlias = NDArray[np.float64]

CONCENTRATION = 10_000
"""What mismatch is looked for first: with 1/2 each, half a percentage point."""
FEWEST = 5
"""Units that each arm should have for the chi-squared test (Cochran, 1954, Biometrics 10)."""


def at_a_fixed_look(counts: ArrayLike, shares: ArrayLike) -> float | Unknown:
    """Give the p-value of Pearson's chi-squared test: for a look that was fixed before.

    Parameters
    ----------
    counts : (k,) int array
        Units of each arm.
    shares : (k,) float array
        What each should have; scaled to sum to 1.

    Returns
    -------
    float or Unknown

    Examples
    --------
    >>> round(at_a_fixed_look([1000, 1100], [0.5, 0.5]), 4)
    0.0291
    >>> print(at_a_fixed_look([3, 3], [0.5, 0.5]))
    unknown: an arm should have 3 units by now (needs 5 units expected in each arm)
    """
    found, null = _checked(counts, shares)
    expected = null * found.sum()
    least = float(expected.min())
    if least < FEWEST:
        reason = f"an arm should have {least:.2g} units by now"
        return Unknown(reason, f"{FEWEST} units expected in each arm")
    statistic = float(((found - expected) ** 2 / expected).sum())
    return float(chdtrc(len(found) - 1, statistic))


def at_any_time(
    counts: ArrayLike, shares: ArrayLike, concentration: float = CONCENTRATION
) -> float:
    r"""Give a p-value that holds at every look together: an alarm that may ring while it runs.

    Lindon and Malek (2022), *Anytime-valid inference for multinomial count data*, NeurIPS, eq. 7:
    the inverse of the Bayes factor of a Dirichlet prior around the shares :math:`\theta_0`,

    .. math:: \frac{B(\alpha + x)}{B(\alpha)} \prod_i \theta_{0,i}^{-x_i},
              \quad \alpha = c\,\theta_0,

    which is a martingale while the shares are as they should be (Ville: it reaches
    :math:`1/\alpha` at *any* time with a chance of :math:`\alpha` at most).

    Parameters
    ----------
    counts : (k,) int array
        Units of each arm so far.
    shares : (k,) float array
        What each should have; scaled to sum to 1.
    concentration : float
        The larger, the smaller the mismatch that is found first.

    Returns
    -------
    float

    Examples
    --------
    >>> round(at_any_time([1000, 1100], [0.5, 0.5]), 4)
    0.7276
    >>> at_any_time([10_000, 11_000], [0.5, 0.5]) < 1e-6
    True
    >>> at_any_time([0, 0], [0.5, 0.5])
    1.0
    """
    found, null = _checked(counts, shares)
    prior = concentration * null
    gained = gammaln(prior + found) - gammaln(prior) - found * np.log(null)
    whole = gammaln(concentration + found.sum()) - gammaln(concentration)
    return float(np.exp(min(float(whole - gained.sum()), 0.0)))


def _checked(counts: ArrayLike, shares: ArrayLike) -> tuple[Floats, Floats]:
    """Give the counts, and the shares so that they sum to 1."""
    found = np.asarray(counts, dtype=np.float64)
    null = np.asarray(shares, dtype=np.float64)
    if found.shape != null.shape:
        raise ValueError(f"{found.shape} counts go with as many shares, not {null.shape}")
    if not (null > 0.0).all():
        raise ValueError("an arm without a share has no units")
    return found, null / null.sum()
