"""What units did equals independent SQL over plain tables, to the cent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from liftwerk.errors import InputError, UnknownName
from liftwerk.events.identifiers import leaf_key
from liftwerk.metrics import kind_of, per_unit
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.metrics.business import METRICS, business
from tests.metrics.shopping import END, STAMP, Shopping

# Every column in minor units, written by hand against the plain tables.
BY_HAND = """
WITH o AS (
  SELECT u.person, count(*) AS orders, sum(cents) AS cents,
    count(*) FILTER (WHERE cents >= 5000) AS large_orders
  FROM units AS u JOIN orders AS o
    ON o.person = u.person AND o.at > u.start AND o.at <= u.start + INTERVAL 14 DAY
  GROUP BY ALL
), m AS (
  SELECT u.person, sum(i.quantity * (i.price - (
      SELECT c.cost FROM costs AS c WHERE c.sku = i.sku AND c.since <= o.at
      ORDER BY c.since DESC LIMIT 1))) AS margin
  FROM units AS u JOIN orders AS o
    ON o.person = u.person AND o.at > u.start AND o.at <= u.start + INTERVAL 14 DAY
  JOIN items AS i USING (order_id)
  GROUP BY ALL
), r AS (
  SELECT u.person, sum(refund) AS refunds, sum(cost) AS costs,
    count(*) FILTER (WHERE r.at <= u.start + INTERVAL 14 DAY) AS returns
  FROM units AS u JOIN returns AS r
    ON r.person = u.person AND r.at > u.start AND r.at <= u.start + INTERVAL 30 DAY
  GROUP BY ALL
), f AS (
  SELECT u.person, min(o.at) > u.start AND min(o.at) <= u.start + INTERVAL 14 DAY AS is_new,
    count(*) FILTER (WHERE o.at > u.start AND o.at <= u.start + INTERVAL 30 DAY) = 0 AS left_us
  FROM units AS u JOIN orders AS o USING (person) GROUP BY u.person, u.start
)
SELECT u.person, coalesce(orders, 0), coalesce(cents, 0), coalesce(large_orders, 0),
  coalesce(margin, 0), coalesce(returns, 0),
  coalesce(margin, 0) - coalesce(refunds, 0) - coalesce(costs, 0),
  coalesce(is_new, FALSE)::INT, coalesce(left_us, TRUE)::INT, coalesce(orders > 0, FALSE)::INT
FROM units AS u LEFT JOIN o USING (person) LEFT JOIN m USING (person) LEFT JOIN r USING (person)
  LEFT JOIN f USING (person)
ORDER BY u.person
"""
COLUMNS = {
    "orders": 1,
    "revenue": 100,
    "large_orders": 1,
    "margin": 100,
    "returns": 1,
    "profit": 100,
    "new_customers": 1,
    "churn": 1,
    "bought": 1,
}
ASKED = ["basket", "return_rate", "incremental_profit", "profit", "large_orders", "margin"]
ASKED += ["new_customers", "churn", "bought"]


@pytest.mark.parametrize("seed", range(4))
def test_units_equal_sql_written_by_hand(tmp_path: Path, seed: int) -> None:
    project, shopping = business(), Shopping(seed)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.tell(project, stores)
        found = per_unit(project, stores, shopping.spine(), ASKED, "accounting", now=END)
    assert set(found.column_names) == {*shopping.spine().column_names, *COLUMNS, "matured"}
    wanted = shopping.sql(BY_HAND)
    assert sum(row[4] for row in wanted) > 0
    for place, (name, unit) in enumerate(COLUMNS.items(), start=1):
        assert found.column(name).to_pylist() == [row[place] / unit for row in wanted], name
    latest = END - timedelta(days=30)
    assert found.column("matured").to_pylist() == [
        one["start"] <= latest for one in shopping.tables["units"]
    ]


def test_a_session_has_its_own_outcomes(tmp_path: Path) -> None:
    project, shopping = business(), Shopping(1, people=1, orders=3)
    for number, one in enumerate(shopping.events):
        one["session"] = f"s{number}"
    key = leaf_key("device", "d0")
    orders = [one for one in shopping.events if one["name"] == "order_completed"]
    spine = pa.table(
        {
            "unit": pa.array([orders[0]["session"].encode(), b"nobody"], pa.binary()),
            "customer": pa.array([key, key], pa.binary()),
            "time": pa.array([END - timedelta(days=90)] * 2, STAMP),
            "arm": ["control", "treated"],
        }
    )
    metrics = {**METRICS, "revenue": {**METRICS["revenue"], "within": "90d"}}
    project = business(metrics=metrics)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.tell(project, stores)
        found = per_unit(project, stores, spine, ["revenue"], "accounting", now=END, by="session")
    revenue = float(orders[0]["properties"]["revenue"])
    assert revenue > 0
    assert found.column("revenue").to_pylist() == [revenue, 0.0]


def test_the_cost_of_an_arm_is_taken_off(tmp_path: Path) -> None:
    earned = {**METRICS["revenue"], "subtract": "action_cost", "multiply": "1/3"}
    net = {"description": "Both", "formula": "2 * earned - 0.01 * orders"}
    project = business(metrics={**METRICS, "earned": earned, "net": net})
    shopping = Shopping(5)
    costs = {"control": Decimal(0), "treated": Decimal("0.05")}
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.tell(project, stores)
        given: Any = (project, stores, shopping.spine(), ["net"], "accounting")
        found = per_unit(*given, now=END, costs=costs)
        with pytest.raises(UnknownName, match="no cost of the action 'treated' is declared"):
            per_unit(*given, now=END, costs={"control": Decimal(0)})
    wanted = [
        (20 * row[2] - 30 * row[1] - 300 * (unit["arm"] == "treated")) / 3000
        for row, unit in zip(shopping.sql(BY_HAND), shopping.tables["units"], strict=True)
    ]
    assert found.column("net").to_pylist() == pytest.approx(wanted, abs=1e-12)


def test_what_nobody_has_a_number_of_is_refused() -> None:
    project = business()
    for name in ("cac", "ltv_to_cac", "stock_outs", "served_in_time", "incremental_roas"):
        with pytest.raises(InputError, match=r"no customer has a number|cannot be added up"):
            kind_of(project, name)
    kinds = {name: kind_of(project, name) for name in ("basket", "churn", "bought", "profit")}
    assert kinds == {"basket": "ratio", "churn": "proportion", "bought": "proportion"} | {
        "profit": "mean"
    }
