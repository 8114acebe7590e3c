"""Leaf keys in arrays."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from liftwerk.identity.keys import Places, distinct, in_arrow, in_one, in_pieces, keys_of

ENDS = (bytes(8), b"\0" * 7 + b"\1", b"k" * 8, b"\xff" * 8)
ALIKE = [one + other for one in ENDS for other in ENDS]
"""Keys whose halves are other keys' halves; some end in zeros."""


@pytest.mark.parametrize("keys", [ALIKE, [bytes([n]) * 16 for n in range(40)], []])
def test_each_key_stands_where_it_was_put(keys: list[bytes]) -> None:
    held = random.Random(1).sample(keys, len(keys))
    asked = [*keys, b"z" * 16, b"k" * 8 + b"z" * 8]
    wanted = [held.index(key) if key in held else -1 for key in asked]
    assert Places(in_one(held)).of(in_one(asked)).tolist() == wanted


def test_keys_once_and_in_order() -> None:
    keys = random.Random(2).choices(ALIKE, k=60)
    once, place = distinct(in_one(keys))
    assert in_pieces(once) == sorted(set(keys))
    assert [in_pieces(once)[at] for at in place] == keys


def test_keys_come_from_arrow_and_go_there() -> None:
    column = pa.chunked_array([ALIKE[:3], [], ALIKE[3:]], pa.binary())
    assert in_arrow(keys_of(column)).to_pylist() == ALIKE
    assert in_pieces(keys_of(column.combine_chunks().slice(4, 2))) == ALIKE[4:6]
    assert len(keys_of(column.slice(0, 0))) == 0
