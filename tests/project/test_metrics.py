"""Metrics through the door: what they mean, what they were, and how that stands to the target."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import InputError, UnknownName
from liftwerk.experiments.effects import PROGRAMME, Effect, put_effects
from liftwerk.metrics.catalogue import in_words, sources_of
from liftwerk.metrics.definition import METRICS as SECTION
from liftwerk.project.metrics import Metrics
from liftwerk.stats.estimate import Estimate
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.metrics.business import METRICS, business
from tests.metrics.shopping import END, START, Shopping

GOAL = {"metric": "incremental_profit", "holdout": "5%", "salt": "shop-holdout-1"}
CLOCK = FixedClock(END + timedelta(days=5))


def test_metrics_are_listed_and_shown(tmp_path: Path) -> None:
    project, shopping = business(goal=GOAL), Shopping(3, people=100, orders=300)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.tell(project, stores)
        estimate = Estimate(5000.0, 1000.0, 9000.0, 2000.0, 100, "holdout")
        window = (START, START + timedelta(days=28))
        how = ("EUR", "holdout", "holdout:test", CLOCK.now())
        put_effects(
            stores.ledger, CLOCK, "test", [Effect(PROGRAMME, "profit", *window, estimate, *how)]
        )
        known = {"liftwerk_requests_total": 12.0}
        metrics = Metrics(project, stores, CLOCK, known.get)
        rows = metrics.list()
        shown = {name: metrics.show(name, "month", 3) for name in ("return_rate", "orders")}
        now = {name: metrics.show(name) for name in ("incremental_profit", "served_in_time")}
        statements = metrics.sql("profit")
        with pytest.raises(InputError, match="no customer has a number of it"):
            metrics.sql("cac")
        with pytest.raises(UnknownName, match="did you mean 'orders'"):
            metrics.show("oders")
    assert rows[0]["metric"] == "incremental_profit"
    assert rows[-1]["level"] == "system"
    assert {row["metric"] for row in rows} == set(METRICS)
    counted = shopping.sql(
        """
        SELECT count(*) FROM orders
        GROUP BY date_trunc('month', timezone('Europe/Berlin', orders."at")) ORDER BY min("at")
        """
    )
    assert [one["value"] for one in shown["orders"]["values"]] == [float(n) for (n,) in counted]
    rates = [(one["value"]["value"], one["stands"]) for one in shown["return_rate"]["values"]]
    assert all(rate > 0.08 for rate, _ in rates)
    assert [stands for _, stands in rates] == [
        "alarm" if rate > 0.15 else "warning" for rate, _ in rates
    ]
    (added,) = now["incremental_profit"]["values"]
    assert (added["value"]["value"], added["stands"]) == (5000.0, "warning")
    assert now["served_in_time"]["values"][0]["value"] == 12.0
    assert len(statements) == 2


def test_amounts_are_in_the_currency_though_nobody_says_so(tmp_path: Path) -> None:
    said = {name: {**one, "unit": ""} for name, one in METRICS.items()}
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores:
        rows = Metrics(business(metrics=said), stores, CLOCK).list()
    units = {row["metric"]: row["unit"] for row in rows}
    amounts = {"profit", "margin", "incremental_profit", "spend", "basket", "cac"}
    assert {units[name] for name in amounts} == {"EUR"}
    assert {units[name] for name in ("orders", "churn", "incremental_roas", "return_rate")} == {""}


def test_what_a_metric_is_made_of_is_told() -> None:
    project = business()
    made = {name: dict(sources_of(project, name)) for name in METRICS}
    assert made["margin"] == {
        "events.order_completed.items": "sums it",
        "entities.product.cost": "looks it up",
    }
    assert made["large_orders"] == {"events.order_completed.revenue": "counts only some by it"}
    assert made["cac"] == dict.fromkeys(
        ("metrics.spend", "metrics.new_customers"), "is reckoned with it"
    )
    assert made["spend"] == {"entities.channel_spend.spend": "sums it"}
    words = {name: in_words(one) for name, one in project.get(SECTION).items()}
    assert words["churn"] == "whether no order_completed happened, within 30d"
    assert words["ltv"] == "revenue of order_completed, within 30d, per new_customers"
