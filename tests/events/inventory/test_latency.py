from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.events.engine import connect
from liftwerk.events.inventory.latency import bucket_sql, quantiles

MICROSECONDS = st.integers(min_value=-(10**6), max_value=10**14)


def buckets_of(lengths: list[int]) -> Counter[int]:
    """Count as a scan does."""
    sql = f"SELECT {bucket_sql('d')}, count(*) FROM (SELECT unnest(?::BIGINT[]) AS d) GROUP BY 1"
    return Counter(dict(connect().execute(sql, [lengths]).fetchall()))


@given(st.lists(MICROSECONDS, min_size=1, max_size=300))
def test_quantiles_are_those_of_the_sorted_list_within_one_percent(lengths: list[int]) -> None:
    found = quantiles(buckets_of(lengths))
    assert found is not None
    assert found.events == len(lengths)
    ordered = sorted(max(0, length) for length in lengths)
    for share, seconds in ((0.5, found.p50), (0.95, found.p95), (0.99, found.p99)):
        exact = ordered[math.ceil(len(ordered) * share) - 1] / 1e6
        # A microsecond is the clock's step: below it nothing is told apart.
        assert seconds == pytest.approx(exact, rel=0.0101, abs=2e-6)


@settings(max_examples=20)
@given(st.lists(MICROSECONDS, max_size=50), st.lists(MICROSECONDS, max_size=50))
def test_counts_of_two_parts_add_up_to_those_of_the_whole(one: list[int], two: list[int]) -> None:
    assert quantiles(buckets_of(one) + buckets_of(two)) == quantiles(buckets_of([*one, *two]))


def test_of_nothing_there_are_none() -> None:
    assert quantiles({}) is None
