from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.stats.moments import Moments


def same(one: Moments, other: Moments) -> None:
    assert one.n == other.n
    np.testing.assert_allclose(one.means, other.means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(one.products, other.products, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(one.cubes, other.cubes, rtol=1e-9, atol=1e-3)


rows = st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 50)), max_size=30)


@given(rows, rows)
def test_parts_add_up_to_the_whole(first, second):
    def columns(part):
        return np.array(part, dtype=float).reshape(-1, 2).T

    whole = Moments.of(columns(first + second))
    same(Moments.of(columns(first)) + Moments.of(columns(second)), whole)


@given(rows)
def test_sums_are_enough(part):
    x = [a for a, _ in part]
    y = [b for _, b in part]
    cross = [[sum(a * b for a, b in zip(p, q, strict=True)) for q in (x, y)] for p in (x, y)]
    cubes = [sum(a**3 for a in p) for p in (x, y)]
    made = Moments.from_sums(len(part), [sum(x), sum(y)], cross, cubes)
    same(made, Moments.of(np.array([x, y], dtype=float).reshape(2, -1)))


def test_whole_numbers_are_centred_without_rounding():
    """Ten million orders of about a million euros in cents: floats would lose the spread."""
    n, base = 10_000_000, 10**8
    small = [n // 2, n // 2]  # half the units have 1 cent more
    total = n * base + small[0]
    squares = n * base**2 + 2 * base * small[0] + small[0]
    cubes = n * base**3 + 3 * base**2 * small[0] + 3 * base * small[0] + small[0]
    made = Moments.from_sums(n, [total], [[squares]], [cubes])
    assert made.products[0, 0] == float(Fraction(n, 4))
    assert made.cubes is not None
    assert made.cubes[0] == 0.0
    assert Moments.from_sums(n, [float(total)], [[float(squares)]]).products[0, 0] != n / 4


def test_shapes_are_held_to():
    with pytest.raises(ValueError, match=r"2 means go with \(2, 2\) products"):
        Moments(3, np.zeros(2), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="2 means go with 2 cubes"):
        Moments(3, np.zeros(2), np.zeros((2, 2)), np.zeros(1))


def test_without_cubes_nothing_is_made_up():
    known = Moments.of([[1.0, 2.0]])
    assert (known + Moments.from_sums(1, [2], [[4]])).cubes is None
    assert Moments.from_sums(1, [2], [[4]]).take([0]).cubes is None
