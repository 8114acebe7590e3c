"""``decayed_sum``: a sum in which an event counts half after each ``half_life``.

The decay goes in steps of the hop: an event of the as-of time's own hop counts whole. With age a in
hops and m hops in a half-life, its weight is floor(round(2**32 * 2**(-(a mod m) / m)) / 2**(a div
m)) in units of 2**-32: the same whole number in every engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from liftwerk.features.kinds.aggregate import (
    DECAY_BITS,
    WEIGHT_SCALE,
    Aggregate,
    Expression,
    Operand,
    Prior,
    Ratio,
    Rows,
)
from liftwerk.features.kinds.sum import SUMMED

MOST_HOPS = 400
"""Most hops in a half-life."""


@cache
def steps(hops: int) -> tuple[int, ...]:
    """Return what is left after 0, 1, … hops of a half-life, in units of 2**-32.

    Parameters
    ----------
    hops : int
        How many of them halve it.

    Examples
    --------
    >>> [step / 2**32 for step in steps(2)]
    [1.0, 0.7071067811921239]
    """
    # The nearest whole number to 2**(32 - a / m), by whole numbers alone: floats may differ.
    return tuple(_nearest_root(1 << (DECAY_BITS * hops - age), hops) for age in range(hops))


def _nearest_root(number: int, degree: int) -> int:
    """Return the nearest whole number to a root."""
    low, high = 0, 1 << (DECAY_BITS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if middle**degree <= number:
            low = middle
        else:
            high = middle
    if (2 * low + 1) ** degree <= number << degree:
        return low + 1
    return low


def weight_of_age(age: int, hops: int) -> int:
    """Return what is left after an age in hops, in units of 2**-32.

    Examples
    --------
    >>> weight_of_age(4, 2) == 2**32 // 4
    True
    """
    return steps(hops)[age % hops] >> (age // hops)


def _prepare(rows: Rows) -> Mapping[str, Expression]:
    assert rows.product is not None
    product = rows.product
    if rows.decay is not None:
        product = product * rows.decay
    return {"sum": product.sum(where=rows.kept)}


def _ratio(operand: Operand, _prior: Prior) -> Ratio:
    return Ratio("sum", WEIGHT_SCALE * operand.unit << DECAY_BITS)


DECAYED_SUM = Aggregate(
    "decayed_sum", {"sum": "add"}, _prepare, _ratio, types=SUMMED, empty=0.0, decays=True
)
