"""Definitions and histories that nobody thought of: five ways give the same values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from liftwerk.store.online import ONLINES
from liftwerk.store.urls import open_url
from tests.postgresql import PostgresqlServer

from .five_ways import Spark, check
from .spark import spark_connect
from .worlds import ENTITIES, world

pytestmark = pytest.mark.slow

ABOUT = (0, 3, 4, 5)
"""Places of a customer, a visitor, a session and an article among the entities of worlds."""

CASES = 500


# The database comes first: once Spark's client runs, this process cannot start a server any more.
@pytest.fixture(scope="module")
def spark(postgresql: PostgresqlServer) -> Iterator[Any]:
    with spark_connect() as session:
        yield session


def test_five_ways_give_one_value(tmp_path: Path, postgresql: PostgresqlServer, spark: Any) -> None:
    seeds: set[int] = set()
    waiting = Spark(spark, tmp_path / "spark")
    counts: Counter[str] = Counter()

    # Not shrunk: a case that differs can be lived alone, and is told with all that it takes.
    @settings(max_examples=len(ABOUT), phases=[Phase.generate])
    @given(st.integers(0, 2**32))
    def compare(drawn: int) -> None:
        seed = drawn * len(ENTITIES) + ABOUT[len(seeds)]
        print(f"seed {seed}: {CASES} cases")
        folder = tmp_path / f"seed{len(seeds)}"
        seeds.add(seed)
        found, apart = check(folder, [world(seed, range(CASES))], online, waiting)
        assert not apart, f"{len(apart)} questions are answered apart\n{apart[0].text()}"
        counts.update(found)

    online = open_url("online store", ONLINES, postgresql.url)
    with closing(online):
        compare()
    assert counts["cases"] == len(ABOUT) * CASES
    assert counts["cases known"] >= 0.6 * counts["cases"], counts
    assert counts["cases late"] >= 0.2 * counts["cases"], counts
    assert counts["known"] >= 0.3 * counts["values"], counts
    print(dict(counts))
