"""With which probabilities the arms were drawn, as far as their counts can tell."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct
from scipy.special import chdtrc

DENOMINATORS = (2, 3, 4, 5, 6, 8, 10, 12, 20, 100)
"""Shares that people plan with are parts of one of these."""

LEVEL = 0.01
"""Counts less likely than this under a plan are not of that plan."""


class Shares(Struct, frozen=True):
    """Probabilities of the arms.

    Attributes
    ----------
    exact : tuple of fractions.Fraction
        One an arm; they add up to 1.
    planned : bool
        Whether they are simple fractions that the counts agree with; otherwise they are the
        observed shares.
    """

    exact: tuple[Fraction, ...]
    planned: bool

    @property
    def are_equal(self) -> bool:
        """Whether every arm was as likely as any other."""
        return len(set(self.exact)) == 1


def plan_of(counts: Sequence[int]) -> Shares:
    """Find the simplest plan that the counts of the arms agree with.

    Equal shares are tried first, then parts of larger and larger denominators, each by Pearson's
    chi-square test.

    Parameters
    ----------
    counts : sequence of int
        Rows of each arm, all above 0.

    Returns
    -------
    Shares

    Examples
    --------
    >>> plan_of([10751, 10654, 10621]).exact
    (Fraction(1, 3), Fraction(1, 3), Fraction(1, 3))
    >>> plan_of([9012, 988]).exact
    (Fraction(9, 10), Fraction(1, 10))
    >>> plan_of([654321, 345679]).planned
    False
    """
    total = sum(counts)
    for parts in _plans(counts):
        shares = tuple(Fraction(part, sum(parts)) for part in parts)
        if agreement(counts, shares) > LEVEL:
            return Shares(shares, planned=True)
    return Shares(tuple(Fraction(count, total) for count in counts), planned=False)


def agreement(counts: Sequence[int], shares: Sequence[Fraction]) -> float:
    """Return the p-value of Pearson's chi-square test of counts against shares."""
    total = sum(counts)
    expected = [float(share * total) for share in shares]
    statistic = sum(
        (count - wanted) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True)
    )
    return float(chdtrc(len(counts) - 1, statistic))


def _plans(counts: Sequence[int]) -> list[list[int]]:
    total = sum(counts)
    plans = [[1] * len(counts)]
    for denominator in DENOMINATORS:
        parts = [round(count * denominator / total) for count in counts]
        if min(parts) > 0 and sum(parts) == denominator:
            plans.append(parts)
    return plans
