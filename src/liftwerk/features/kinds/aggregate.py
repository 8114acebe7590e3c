"""What an aggregate is: a name, an exact expression in SQL, and how its state becomes a value."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

WEIGHT_SCALE = 10**6
"""An event's weight is counted in millionths, so that sums of weights are whole numbers."""

NUMBER_SCALE = 10**9
"""A number is added up in billionths, so that the order of the rows leaves no trace in a sum."""

DAY = 86_400_000_000
"""Microseconds in a day."""


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


class Aggregate(Struct, frozen=True):
    """One way to make a value of many events.

    The SQL reads the columns of the step ``_history``: ``time`` and ``as_of`` (microseconds since
    1970), ``offset``, ``weight`` (millionths) and the event's properties.

    Attributes
    ----------
    name : str
        As it is written in the project file.
    of_a_property : bool
        Whether it reads a property or the events themselves.
    sql : callable
        (operand, property as SQL, condition as SQL) -> the aggregate's exact state as SQL.
    divisor : callable
        Operand -> what the exact state is divided by to become a float; None leaves it as it is.
    empty : float or None
        The value where nothing is known.
    """

    name: str
    of_a_property: bool
    sql: Callable[[Operand, str, str], str]
    divisor: Callable[[Operand], int | None]
    empty: float | None
