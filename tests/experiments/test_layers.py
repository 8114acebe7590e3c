"""Ranges of a layer never overlap, and a refusal says truly what is free."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.errors import Refused
from liftwerk.experiments.layers import Range, find_range

SHARES = st.fractions(min_value=Fraction(1, 40), max_value=1, max_denominator=40)


@given(steps=st.lists(st.tuples(SHARES, st.integers(0, 5)), max_size=25))
def test_no_unit_is_ever_in_two_ranges(steps: list[tuple[Fraction, int]]) -> None:
    """Experiments come and go; one that finds no room would not have fitted anywhere."""
    held: list[Range] = []
    for share, leaving in steps:
        try:
            found = find_range("l", share, held)
        except Refused:
            edges = [Fraction(0), *(one.high for one in held)]
            for low in edges:
                wanted = Range(low, low + share)
                assert wanted.high > 1 or any(_overlap(wanted, one) for one in held)
        else:
            assert found.share == share
            assert found.low >= 0
            assert found.high <= 1
            assert not any(_overlap(found, one) for one in held)
            held.append(found)
        if leaving < len(held):
            held.pop(leaving)


def _overlap(one: Range, other: Range) -> bool:
    return one.low < other.high and other.low < one.high


def test_a_refusal_says_what_would_fit() -> None:
    held = [Range(Fraction(1, 10), Fraction(1, 2)), Range(Fraction(3, 5), Fraction(1))]
    with pytest.raises(Refused, match=r"no room for 20%: layer mail: at most 10% is free"):
        find_range("mail", Fraction(1, 5), held)
    assert find_range("mail", Fraction(1, 10), held) == Range(Fraction(0), Fraction(1, 10))
    with pytest.raises(Refused, match="nothing is free"):
        find_range("mail", Fraction(1, 100), [Range(Fraction(0), Fraction(1))])
