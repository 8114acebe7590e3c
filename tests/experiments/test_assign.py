"""The holdout's assignment is a fixed function; these vectors may never change."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.experiments import held_out, held_out_many, position, unit_text

VECTORS = [
    ("hillstrom-holdout-1", bytes(range(16)), 16594956608253558428),
    ("hillstrom-holdout-1", bytes(16), 16203316767033262079),
    ("s", b"\xff" * 16, 1365577365450005351),
    ("größe", b"\xab" * 16, 9612890300678101897),
]


@pytest.mark.parametrize(("salt", "leaf", "expected"), VECTORS)
def test_published_vectors(salt: str, leaf: bytes, expected: int) -> None:
    assert position(salt, unit_text(leaf)) == expected


@settings(max_examples=60, deadline=None)
@given(
    salt=st.text(max_size=8),
    leaves=st.lists(st.binary(min_size=16, max_size=16), max_size=20),
    share=st.fractions(min_value=0, max_value=1, max_denominator=1000),
)
def test_many_agrees_with_one(salt: str, leaves: list[bytes], share: Fraction) -> None:
    one_by_one = [held_out(salt, share, unit_text(leaf)) for leaf in leaves]
    assert held_out_many(salt, share, leaves).tolist() == one_by_one


def test_none_and_all() -> None:
    leaves = [bytes([i]) * 16 for i in range(50)]
    assert not held_out_many("s", Fraction(0), leaves).any()
    assert held_out_many("s", Fraction(1), leaves).all()
    assert all(held_out("s", Fraction(1), unit_text(leaf)) for leaf in leaves)


def test_the_boundary_is_exact() -> None:
    """The share position/2**64 itself keeps the unit in; the next larger one takes it out."""
    leaf = bytes(range(16))
    at = position("s", unit_text(leaf))
    assert not held_out("s", Fraction(at, 2**64), unit_text(leaf))
    assert held_out("s", Fraction(at + 1, 2**64), unit_text(leaf))
    assert held_out_many("s", Fraction(at + 1, 2**64), [leaf]).tolist() == [True]


def test_a_larger_share_keeps_whoever_was_held_out() -> None:
    leaves = [hashlib.sha256(bytes([i % 256, i // 256])).digest()[:16] for i in range(5000)]
    small = held_out_many("salt", Fraction(1, 20), leaves)
    large = held_out_many("salt", Fraction(1, 10), leaves)
    assert not (small & ~large).any()
    assert abs(small.mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 5000)
    other = held_out_many("salt-2", Fraction(1, 20), leaves)
    assert abs((small & other).mean() - 0.0025) < 0.003
