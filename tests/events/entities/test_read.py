from __future__ import annotations

from itertools import pairwise
from random import Random

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.events.entities.join import join
from liftwerk.events.entities.read import read, timeline
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events.conftest import clock, stores
from tests.events.entities.things import Row, day, held, keep, price, things
from tests.events.shop import NOW

__all__ = ["clock", "stores"]

rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]), st.integers(0, 6), st.integers(0, 6), st.integers(1, 999)
    ),
    max_size=14,
    unique_by=lambda row: row[:3],
)


@given(histories=rows, chance=st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_reads_equal_a_slow_twin(
    tmp_path_factory: pytest.TempPathFactory, histories: list[Row], chance: Random
) -> None:
    """Every price at every moment by every knowledge, whatever order and files it came in."""
    project = things()
    shuffled = list(histories)
    chance.shuffle(shuffled)
    half = len(shuffled) // 2
    asked = [(sku, at, known) for sku in ("a", "b") for at in range(7) for known in range(7)]
    spine = pyarrow.table(
        {
            "sku": [sku for sku, _, _ in asked],
            "time": pyarrow.array([day(at) for _, at, _ in asked], pyarrow.timestamp("us", "UTC")),
            "known_at": pyarrow.array(
                [day(k) for _, _, k in asked], pyarrow.timestamp("us", "UTC")
            ),
        }
    )
    clock = FixedClock(NOW)
    home = Home.open(tmp_path_factory.mktemp("twin") / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        for part in (shuffled[:half], shuffled[half:]):
            done = keep(project, stores, "product", [price(row) for row in part], clock)
            assert (done.table.num_rows, done.duplicates, done.bad) == (len(part), 0, {})
        again = keep(project, stores, "product", [price(row) for row in histories], clock)
        assert (again.table.num_rows, again.duplicates) == (0, len(histories))
        expected = [held(histories, *one) for one in asked]
        by_row = join(project, stores, spine, "product", "accounting", known="known_at")
        assert by_row.column("product_price").to_pylist() == expected
        for known in range(0, 7, 3):
            as_of = AsOf(time=day(known))
            answers = {
                at: read(project, stores, "product", "accounting", day(at), as_of)
                for at in (0, 3, 6)
            }
            found = {
                (row["sku"], at): row["price"]
                for at, table in answers.items()
                for row in table.to_pylist()
            }
            wanted = {
                (sku, at): held(histories, sku, at, known) for sku in ("a", "b") for at in (0, 3, 6)
            }
            assert found == {key: value for key, value in wanted.items() if value is not None}
            line = timeline(project, stores, "product", "accounting", as_of).to_pylist()
            for one, other in pairwise(line):
                if one["sku"] == other["sku"]:
                    assert one["valid_to"] == other["valid_from"]
            reader = join(project, stores, spine, "product", "accounting", as_of=as_of)
            assert reader.column("product_price").to_pylist() == [
                held(histories, sku, at, known) for sku, at, _ in asked
            ]
