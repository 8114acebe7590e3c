"""A metric's periods equal SQL over plain tables, to the cent."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from liftwerk.definitions.typed import Duration
from liftwerk.errors import InputError
from liftwerk.metrics.series import per_period
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.metrics.business import business
from tests.metrics.shopping import END, Shopping

LENGTH = Duration("6h")
STARTS = [END - timedelta(days=40) + timedelta(hours=6 * number) for number in range(170)]
BY_HAND = """
SELECT p.start, coalesce(sum(cents), 0) / 100, count(o.at)
FROM periods AS p LEFT JOIN orders AS o ON o.at >= p.start AND o.at < p.start + INTERVAL 6 HOUR
GROUP BY p.start ORDER BY p.start
"""


@pytest.mark.parametrize("seed", range(2))
def test_periods_equal_sql_written_by_hand(tmp_path: Path, seed: int) -> None:
    project, shopping = business(), Shopping(seed)
    # One that begins to the microsecond with a period, which is its own and not the one before's.
    shopping.tables["orders"][0]["at"] = STARTS[100]
    [told] = [
        one
        for one in shopping.events
        if one["properties"].get("order_id") == shopping.tables["orders"][0]["order_id"]
        and one["name"] == "order_completed"
    ]
    told["time"] = STARTS[100].isoformat()
    shopping.tables["periods"] = [{"start": start} for start in STARTS]
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.tell(project, stores)
        found = {
            name: per_period(project, stores, name, "accounting", STARTS, LENGTH, now=END)
            for name in ("revenue", "orders", "basket")
        }
    over = [start + timedelta(hours=6) <= END for start in STARTS]
    assert 0 < over.count(False) < 20
    wanted = shopping.sql(BY_HAND)
    assert sum(row[2] for row in wanted) > 10
    revenue, orders, basket = (found[name].to_pydict() for name in ("revenue", "orders", "basket"))
    for place, (_, cents, many) in enumerate(wanted):
        if not over[place]:
            assert revenue["value"][place] is None
            continue
        assert revenue["value"][place] == pytest.approx(float(cents), abs=1e-9)
        assert orders["value"][place] == many
        assert basket["weight"][place] == many
        if many:
            assert basket["value"][place] == pytest.approx(float(cents) / many)
        else:
            assert basket["value"][place] is None


def test_what_is_counted_for_each_customer_has_no_periods(tmp_path: Path) -> None:
    project = business()
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        for name in ("new_customers", "churn", "bought"):
            with pytest.raises(InputError, match="counted for each customer"):
                per_period(project, stores, name, "accounting", STARTS, LENGTH, now=END)
