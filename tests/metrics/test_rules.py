"""What a metric or a goal must satisfy before anything is counted: each with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from liftwerk.errors import ProjectError
from tests.metrics.business import METRICS, business

ORDERS = {"description": "", "from": "order_completed", "within": "14d"}
CLICKS = {"description": "", "from": "page_viewed", "aggregate": "any", "within": "1d"}
STUDY = {"stands_for": "profit", "study": "A/B tests of 2025: docs/clicks.md", "date": "2025-11-03"}
GOAL = {"holdout": "5%", "salt": "s"}


def refused(**metrics: dict[str, Any]) -> str:
    with pytest.raises(ProjectError) as caught:
        business(metrics={**METRICS, **metrics})
    return str(caught.value)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"description": ""}, "does not say how it comes about"),
        ({**ORDERS, "aggregate": "count", "formula": "orders"}, "says 2 ways to come about"),
        ({**ORDERS}, "metrics.x.aggregate is missing"),
        ({**ORDERS, "aggregate": "sum", "value": "revenue * revenue"}, "money by money"),
        ({**ORDERS, "aggregate": "sum", "value": "revenue + stars"}, "'stars'"),
        ({**ORDERS, "aggregate": "sum", "value": "revenue / 2"}, "whole numbers"),
        (
            {
                **ORDERS,
                "aggregate": "sum",
                "unnest": "items",
                "value": "items.price + items.quantity",
            },
            "mixes money and numbers",
        ),
        ({**ORDERS, "aggregate": "count", "where": "revenue > 'x'"}, "write an amount"),
        ({**ORDERS, "aggregate": "count", "unnest": "revenue"}, "a money has no items"),
        (
            {**ORDERS, "aggregate": "sum", "property": "revenue", "per": "orders"},
            'aggregate = "new"',
        ),
        ({"description": "", "from": "product", "aggregate": "new"}, "no customer's"),
        (
            {"description": "", "from": "product", "aggregate": "count", "within": "1d"},
            "leave it out",
        ),
        ({"description": "", "from": "order_completed", "aggregate": "lapse"}, "within is missing"),
        ({"description": "", "formula": "orders * returns"}, "multiplies metrics"),
        ({"description": "", "formula": "(orders + returns) / bought"}, "a name of its own"),
        (
            {"description": "", "formula": "oders"},
            "there is no metric 'oders': did you mean 'orders'",
        ),
        ({"description": "", "formula": "x + orders"}, "made of themselves: x -> x"),
        ({"description": "", "incremental": "cac"}, "no customer has a number of it"),
        ({"description": "", "measured": "grafana:x"}, "model:NAME.FIGURE"),
        (
            {"description": "", "formula": "orders", "supports": "served_in_time"},
            "goal, then model",
        ),
        ({"description": "", "formula": "orders", "supports": "x"}, "support themselves: x -> x"),
        (
            {"description": "", "formula": "orders", "target": "1", "threshold": "2"},
            "below the target where higher is better",
        ),
        ({**CLICKS, "surrogate": {**STUDY, "stands_for": "orders"}}, "stands for money"),
    ],
)
def test_a_metric_that_cannot_be_is_refused(metric: dict[str, Any], said: str) -> None:
    assert said in refused(x=metric)


def test_a_goal_is_money_or_a_validated_surrogate() -> None:
    for metric in ({**CLICKS}, {**CLICKS, "aggregate": "count"}, {**ORDERS, "aggregate": "count"}):
        with pytest.raises(ProjectError, match="a goal is money, not a visit or a click"):
            business(metrics={**METRICS, "x": metric}, goal={**GOAL, "metric": "x"})
    for name in ("profit", "revenue", "margin", "incremental_profit"):
        business(goal={**GOAL, "metric": name})
    with pytest.raises(ProjectError, match="a goal is money"):
        business(goal={**GOAL, "metric": "basket"})
    surrogate = {**CLICKS, "surrogate": STUDY}
    business(metrics={**METRICS, "x": surrogate}, goal={**GOAL, "metric": "x"})
