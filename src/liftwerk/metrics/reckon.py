"""Exact states become values: whole numbers of one unit until one last division."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from numpy.typing import NDArray

from liftwerk.errors import UnknownName, did_you_mean
from liftwerk.features.finalise import Whole, largest, nearest, whole_numbers
from liftwerk.metrics.compile import Counted
from liftwerk.metrics.formula import Sum

_ROOM = 2**62
"""Below this the machine's whole numbers cannot overflow."""


class Weighted(Struct, frozen=True):
    """What states are multiplied with to make a value: ``constant + sum of factor x state - cost``.

    Attributes
    ----------
    factors : mapping of str to fractions.Fraction
        State -> its factor.
    constant : fractions.Fraction
    costs : fractions.Fraction
        How many times the action's cost is taken off.
    """

    factors: Mapping[str, Fraction]
    constant: Fraction = Fraction(0)
    costs: Fraction = Fraction(0)


def weighted(total: Sum, counted: Mapping[str, Counted]) -> Weighted:
    """Say how a sum of metrics is made of their states.

    Parameters
    ----------
    total : Sum
        Over metrics that have no formula.
    counted : mapping of str to Counted
        Those metrics, as plans count them.
    """
    factors = {}
    constant, costs = total.constant, Fraction(0)
    for name, factor in total.terms.items():
        one = counted[name]
        factors[name] = factor * one.multiply / one.divisor
        constant += factor * one.constant
        if one.subtracts_cost:
            costs += factor
    return Weighted(factors, constant, costs)


def reckoned(
    how: Weighted,
    states: Mapping[str, Whole],
    actions: pa.DictionaryArray,
    costs: Mapping[str, Decimal],
) -> NDArray[np.float64]:
    """Make values of states, each the nearest float to the exact one: as of `wholly`."""
    return nearest(wholly(how, states, actions, costs), unit_of(how, costs))


def unit_of(how: Weighted, costs: Mapping[str, Decimal]) -> int:
    """Say how many of the whole numbers that `wholly` gives are 1."""
    parts = [*how.factors.values(), how.constant]
    if how.costs:
        parts += [how.costs * Fraction(cost) for cost in costs.values()]
    return math.lcm(*(part.denominator for part in parts))


def wholly(
    how: Weighted,
    states: Mapping[str, Whole],
    actions: pa.DictionaryArray,
    costs: Mapping[str, Decimal],
) -> Whole:
    """Make values of states, in whole numbers.

    Parameters
    ----------
    how : Weighted
    states : mapping of str to numpy.ndarray of whole numbers, (n,)
        From `states_of`.
    actions : pyarrow.DictionaryArray
        Each row's action, or arm.
    costs : mapping of str to decimal.Decimal
        What doing it once costs, in the project's currency.

    Returns
    -------
    numpy.ndarray of whole numbers, (n,)

    Raises
    ------
    UnknownName
        If a cost is taken off that is not declared.
    """
    charges = []
    if how.costs:
        charges = [how.costs * _cost(name, costs) for name in actions.dictionary.to_pylist()]
    unit = unit_of(how, costs)
    times = {name: int(factor * unit) for name, factor in how.factors.items()}
    constant = int(how.constant * unit)
    taken = np.array([int(charge * unit) for charge in charges])
    bound = abs(constant) + max((abs(int(charge)) for charge in taken), default=0)
    bound += sum(max(largest(states[name]), 1) * abs(factor) for name, factor in times.items())
    wide: type = np.int64
    if bound >= _ROOM:
        wide = object
    total: Whole = np.full(len(actions), constant, dtype=wide)
    for name, factor in times.items():
        total = total + states[name].astype(wide) * factor
    if charges:
        total = total - taken.astype(wide)[actions.indices.to_numpy()]
    return total


def states_of(
    table: pa.Table, counted: Iterable[Counted], asked_at: NDArray[np.int64]
) -> dict[str, Whole]:
    """Return the exact states of a plan's answer; 0 where nothing happened.

    Parameters
    ----------
    table : pyarrow.Table
        n rows, a column of each state.
    counted : iterable of Counted
    asked_at : int64 of shape (n,)
        The rows' own times, in microseconds.
    """
    found = {}
    for one in counted:
        numbers = whole_numbers(table.column(one.name))
        if one.within is not None:
            is_new = (numbers > asked_at) & (numbers <= asked_at + one.within)
            numbers = is_new.astype(np.int64)
        found[one.name] = numbers
    return found


def microseconds(times: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return instants as whole numbers."""
    whole = pc.cast(pc.cast(times, pa.timestamp("us", "UTC")), pa.int64())
    found: NDArray[np.int64] = whole.to_numpy()
    return found


def dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Encode a column of few values."""
    return pc.dictionary_encode(column).combine_chunks()


def _cost(action: str, costs: Mapping[str, Decimal]) -> Fraction:
    if action not in costs:
        what = f"no cost of the action {action!r} is declared"
        raise UnknownName(what, "[actions]", did_you_mean(action, costs))
    return Fraction(costs[action])
