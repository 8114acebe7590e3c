"""What an aggregate is: exact states that can be merged, and one ratio that makes a value of them.

An aggregate never sees all events at once. It *prepares* states of some rows (those of a tile, or
those that a question may see), states of disjoint rows are *merged*, and the merged state is made
into a float once. States are whole numbers, so that neither the order of rows, nor how they were
cut into tiles, nor the engine leaves a trace in a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from msgspec import Struct

Expression: TypeAlias = Any
"""An Ibis expression: the library says no types, and is not needed to know which aggregates are."""

WEIGHT_SCALE = 10**6
"""An event's weight is counted in millionths, so that sums of weights are whole numbers."""

NUMBER_SCALE = 10**9
"""A number is added up in billionths, so that the order of the rows leaves no trace in a sum."""

DAY = 86_400_000_000
"""Microseconds in a day."""

DECAY_BITS = 32
"""A decayed weight is a whole number of 2**-32."""

Merge = Literal["add", "least", "greatest", "earliest", "latest", "by_value"]
"""How two states become one.

``earliest`` and ``latest`` are of a pair (key, value), where the key orders by time, then offset;
``by_value`` is of a map from each value to the weight of its events.
"""


class Operand(Struct, frozen=True):
    """The property that an aggregate reads.

    Attributes
    ----------
    type : str
        The property's declared type; empty for an aggregate of the events themselves.
    scale : int
        Minor units in one unit of money; 1 for anything else.
    """

    type: str = ""
    scale: int = 1

    @property
    def unit(self) -> int:
        """What a sum of it, not weighted, is divided by."""
        if self.type == "number":
            return NUMBER_SCALE
        return self.scale


class Rows(Struct, frozen=True):
    """The rows that a state is prepared of, as Ibis sees them.

    Attributes
    ----------
    kept : ibis.BooleanValue or None
        Which rows count, never null; None for all of them.
    time : Expression
        Microseconds since 1970.
    key : Expression
        Orders by time, then by offset.
    weight : Expression
        Millionths.
    value : ibis.Value or None
        The property.
    product : ibis.DecimalValue or None
        The property as a whole number, times the weight.
    told : ibis.IntegerValue or None
        The weight where there is a value that can be added up, else null.
    hit : ibis.BooleanValue or None
        Whether the event is one of those that a rate counts.
    decay : ibis.IntegerValue or None
        What is left of the row, in 2**-32; None where that is reckoned when tiles are merged.
    """

    kept: Expression | None
    time: Expression
    key: Expression
    weight: Expression
    value: Expression | None = None
    product: Expression | None = None
    told: Expression | None = None
    hit: Expression | None = None
    decay: Expression | None = None

    @property
    def said(self) -> Expression:
        """Rows that count and say something about the property."""
        assert self.value is not None
        return both(self.kept, self.value.notnull())


def both(kept: Expression | None, condition: Expression) -> Expression:
    """Narrow rows down, where they may be all of them."""
    if kept is None:
        return condition
    return kept & condition


class Ratio(Struct, frozen=True):
    """How exact states become one float, rounded once.

    ``(numerator + plus) / ((denominator + below) * divisor)``, where the denominator may be missing
    (then it is 1 and nothing is added), and where ``since`` stands for (as-of time - state).

    Attributes
    ----------
    numerator : str
        A state.
    divisor : int
        Exact, above 0.
    denominator : str or None
        A state.
    plus, below : int
        What a prior adds.
    times : int
        A factor on the numerator.
    since : bool
        Whether the numerator is an instant, and what counts is the time since.
    """

    numerator: str
    divisor: int = 1
    denominator: str | None = None
    plus: int = 0
    below: int = 0
    times: int = 1
    since: bool = False


class Prior(Struct, frozen=True):
    """What is believed of a share before anything is seen.

    Attributes
    ----------
    share : fractions.Fraction
        The share.
    weight : int
        How many events the belief is worth, in millionths.
    """

    share: Fraction = Fraction(0)
    weight: int = 0

    @property
    def hits(self) -> int:
        """The believed share of these events, in millionths, to the nearest."""
        return round(self.share * self.weight)


class Aggregate(Struct, frozen=True):
    """One way to make a value of many events.

    Attributes
    ----------
    name : str
        As it is written in the project file.
    merges : mapping of str to Merge
        Each state, and how two of them become one. A pair's key is the state ``NAME_key``.
    prepare : callable
        Rows -> each state as an Ibis reduction. Not of an aggregate ``by_value``: its map is made
        of the rows' values, and reduced to the states ``n`` (values), ``top`` (most weight of one)
        and ``total``.
    ratio : callable
        (operand, prior) -> how the states become a float; None hands the state ``value`` on.
    types : tuple of str
        Types of property that it takes; empty for an aggregate of the events themselves.
    empty : float or None
        The value where nothing is known.
    decays : bool
        Whether older tiles count less.
    """

    name: str
    merges: Mapping[str, Merge]
    prepare: Callable[[Rows], Mapping[str, Expression]] | None
    ratio: Callable[[Operand, Prior], Ratio | None]
    types: tuple[str, ...] = ()
    empty: float | None = None
    decays: bool = False

    @property
    def by_value(self) -> bool:
        """Whether its state is a map from value to weight."""
        return self.prepare is None
