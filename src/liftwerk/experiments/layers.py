"""Exclusion layers: experiments of one layer take turns at the units and never share one.

Every unit has one position in a layer, between 0 and 1. An experiment reserves a range of them when
it starts, for the share that it is to have in the end, and grows inside it: whoever is in stays in,
and nobody is in two. What an experiment reserved is free again once it is stopped; whoever comes
next into the same range meets the same units.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from msgspec import Struct

from liftwerk.errors import Refused


class Range(Struct, frozen=True, order=True):
    """Positions from ``low`` to just below ``high``, between 0 and 1.

    Attributes
    ----------
    low, high : fractions.Fraction
    """

    low: Fraction
    high: Fraction

    @property
    def share(self) -> Fraction:
        """The part of all units that stands in it."""
        return self.high - self.low


EVERYTHING = Range(Fraction(0), Fraction(1))
"""What an experiment without a layer has for itself."""


def find_range(layer: str, share: Fraction, reserved: Iterable[Range]) -> Range:
    """Find room for one more experiment in a layer.

    Parameters
    ----------
    layer : str
        Its name, for an error.
    share : fractions.Fraction
        The part of all units that may enter in the end, above 0.
    reserved : iterable of Range
        What the layer's running experiments hold, in any order.

    Returns
    -------
    Range
        The first that is free, from the lowest position.

    Raises
    ------
    Refused
        If no free range is as long; it says how long the longest one is.

    Examples
    --------
    >>> half, third = Fraction(1, 2), Fraction(1, 3)
    >>> first = find_range("e-mail", half, [])
    >>> second = find_range("e-mail", third, [first])
    >>> second
    Range(low=Fraction(1, 2), high=Fraction(5, 6))
    >>> find_range("e-mail", third, [second, first])
    Traceback (most recent call last):
    liftwerk.errors.Refused: no room for 33.33%: layer e-mail: at most 16.66% is free: ...
    """
    longest = Fraction(0)
    at = Fraction(0)
    for held in [*sorted(reserved), Range(Fraction(1), Fraction(1))]:
        if held.low - at >= share:
            return Range(at, at + share)
        longest = max(longest, held.low - at)
        at = max(at, held.high)
    hint = f"at most {_percent(longest)} is free: take a smaller share, or stop another one"
    if not longest:
        hint = "nothing is free: stop an experiment of the layer, or take another layer"
    raise Refused(f"no room for {_percent(share)}", f"layer {layer}", hint)


def _percent(share: Fraction) -> str:
    """Write a share as people do; never more than there is.

    Examples
    --------
    >>> _percent(Fraction(1, 3)), _percent(Fraction(2, 3)), _percent(Fraction(1, 20))
    ('33.33%', '66.66%', '5%')
    """
    hundredths = share * 10_000 // 1
    return f"{float(hundredths) / 100:.4g}%"
