"""Sums are those of Python's own whole numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.metrics.sums import Sums

_numbers = st.one_of(st.integers(-9, 9), st.integers(-(2**21), 2**21), st.integers(-(2**90), 2**90))
_tables = st.integers(1, 3).flatmap(
    lambda k: st.lists(st.lists(_numbers, min_size=k, max_size=k), min_size=1, max_size=30)
)


def obvious(rows: list[list[int]]) -> Sums:
    k = range(len(rows[0]))
    return Sums(
        len(rows),
        tuple(sum(row[i] for row in rows) for i in k),
        tuple(tuple(sum(row[i] * row[j] for row in rows) for j in k) for i in k),
        tuple(sum(row[i] ** 3 for row in rows) for i in k),
    )


def columns(rows: list[list[int]]) -> list[np.ndarray]:
    found = []
    for column in zip(*rows, strict=True):
        fits = max(map(abs, column)) < 2**62
        found.append(np.array(column, dtype=np.int64 if fits else object))
    return found


@given(_tables)
@settings(deadline=None)
def test_sums_are_exact(rows: list[list[int]]) -> None:
    assert Sums.of(columns(rows)) == obvious(rows)


def test_sums_of_many_rows_are_exact() -> None:
    """The largest limbs in every row of several blocks: no float may round."""
    rows = [[2**20 - 1, -(2**40) + 1]] * 300_000
    sums = Sums.of(columns(rows))
    a, b, n = 2**20 - 1, 1 - 2**40, 300_000
    assert sums.sums == (n * a, n * b)
    assert sums.cross == ((n * a * a, n * a * b), (n * a * b, n * b * b))
    assert sums.cubes == (n * a**3, n * b**3)


@given(_tables, st.data())
@settings(deadline=None)
def test_what_is_taken_off_leaves_no_trace(rows: list[list[int]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    rest = obvious(rows)
    if cut:
        rest = rest.plus(Sums.of(columns(rows[:cut])), -1)
    wanted = Sums.none(len(rows[0]))
    if cut < len(rows):
        wanted = obvious(rows[cut:])
    assert rest == wanted
