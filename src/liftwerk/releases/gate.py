"""The gate of a policy: it must not earn less than what was done, by more than a declared margin.

This is a non-inferiority test on the simultaneous interval of the difference to the logged
policy. A *claim* of profit is another question, answered by the headline.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from liftwerk.stats.estimate import Estimate, Unknown


class Verdict(msgspec.Struct, frozen=True):
    """What a gate says: ``passed``, ``failed`` or ``unknown``, in one sentence with its figures."""

    verdict: str
    margin: float
    sentence: str
    low: float | None = None


def judge(difference: Estimate | Unknown, margin: Decimal | float, currency: str) -> Verdict:
    """Judge non-inferiority in profit.

    Parameters
    ----------
    difference : Estimate or Unknown
        Value of the learned policy less that of the logged one, in currency per customer.
    margin : Decimal or float
        The loss per customer that the project declares bearable; at least 0.
    currency : str
        For the sentence.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> from liftwerk.stats.estimate import Estimate
    >>> d = Estimate(0.05, -0.02, 0.12, 0.036, 1000, "dr", ())
    >>> judge(d, 0.1, "USD").verdict
    'passed'
    """
    allowed = float(margin)
    if isinstance(difference, Unknown):
        sentence = f"unknown, because {difference.reason}; it would take {difference.needs}"
        return Verdict("unknown", allowed, sentence)
    bound = f"at worst {_signed(difference.low)} {currency} a customer against what was done"
    limit = f"the margin allows {_signed(-allowed)}"
    if difference.low > -allowed:
        return Verdict("passed", allowed, f"{bound}; {limit}", difference.low)
    return Verdict("failed", allowed, f"{bound}; {limit}", difference.low)


def _signed(value: float) -> str:
    """Write an amount with its sign, a true minus, as pages and terminal do."""
    return f"{value:+.3f}".replace("-", "\u2212")
