"""A switchback from declaration to reading, over events in the project's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.definitions.typed import Duration
from liftwerk.errors import Refused
from liftwerk.events.compact import compact
from liftwerk.experiments.definition import EXPERIMENTS, Switchback
from liftwerk.experiments.effects import latest
from liftwerk.experiments.reading import plain
from liftwerk.experiments.register import register
from liftwerk.experiments.start import start
from liftwerk.experiments.stop import stop
from liftwerk.experiments.switchback import schedule
from liftwerk.experiments.switchback.measured import period_length, read_measured
from liftwerk.project.experiments import Experiments
from liftwerk.project.once import keep_once
from liftwerk.project.reading import conclude_stopped
from liftwerk.server import once
from liftwerk.server.measured import Measured
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import NOW, order, put

BEGAN = NOW - timedelta(days=20)
HOURLY = 4


def counted(aggregate: str, **more: str) -> dict[str, Any]:
    said = {"description": "x", "from": "order_completed", "within": "7d"}
    return {**said, "aggregate": aggregate, **more}


def project(
    metrics: list[str] | None = None, name: str = "fee", without: str = "", **fields: Any
) -> Project:
    experiment = {
        "design": "switchback",
        "description": "A delivery fee",
        "arms": {"usual": {}, "dearer": {}},
        "metrics": metrics or ["revenue", "basket"],
        "purpose": "measurement",
        "effect": "20%",
        "switchback": {"block": "6h"},
        **fields,
    }
    declared = {
        "revenue": counted("sum", property="revenue"),
        "orders": counted("count"),
        "buyers": counted("any"),
        "basket": {"description": "x", "formula": "revenue / orders"},
    }
    if without:
        declared = {"revenue": declared["revenue"]}
    return shops.shop(experiments={name: experiment}, metrics=declared)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Stores]]:
    """Twenty days of a shop in which the dearer arm brings more for each order."""
    definitions = project()
    home = Home.open(tmp_path_factory.mktemp("turns") / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        clock = FixedClock(BEGAN)
        register(definitions, stores, clock, "jane", "fee", {"unplanned": "a test"})
        start(definitions, stores, clock, "jane", "fee")
        assert put(definitions, stores, *orders(definitions)) == []
        compact(definitions, stores, FixedClock(NOW))
        yield definitions, stores


def orders(definitions: Project) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    experiment = definitions.get(EXPERIMENTS)["fee"]
    blocks = schedule("fee", experiment, BEGAN, NOW, definitions.timezone).to_pylist()
    told = []
    for block in blocks:
        for _ in range(rng.poisson(HOURLY * 6)):
            at = block["begins"] + rng.random() * (block["ends"] - block["begins"])
            if not BEGAN <= at < NOW:
                continue
            cents = round(1000 + 200 * rng.random() + 500 * (block["arm"] == "dearer"))
            number = len(told) + 1
            who = {"identifiers": {"email": f"{number}@example.com"}}
            money = f"{cents / 100:.2f}"
            told.append(order(number, f"o{number}", money, time=at.isoformat(), **who))
    return told


def test_a_reading_finds_what_was_planted(ran: tuple[Project, Stores]) -> None:
    definitions, stores = ran
    readings = read_measured(definitions, stores, "fee", now=NOW)
    assert list(readings) == ["revenue", "basket"]
    (revenue,), (basket,) = readings["revenue"].arms, readings["basket"].arms
    assert isinstance(basket.effect.estimate, Estimate)
    assert basket.effect.estimate.low < 5.0 < basket.effect.estimate.high
    assert basket.effect.estimate.value == pytest.approx(5.0, abs=0.1)
    assert basket.control == pytest.approx(11.0, abs=0.1)
    assert basket.effect.p_value < 0.001
    assert isinstance(revenue.effect.estimate, Estimate)
    assert revenue.effect.estimate.low < 5.0 * HOURLY < revenue.effect.estimate.high
    # 20 days of 4 blocks, less the one that had begun and the one that is not over.
    assert revenue.blocks + revenue.control_blocks == 79
    assert readings["revenue"].periods == 79 * 6


def test_a_stopped_one_is_concluded_and_its_page_says_the_same(
    ran: tuple[Project, Stores],
) -> None:
    definitions, stores = ran
    clock = FixedClock(NOW)
    assert Measured(definitions, stores, clock).one("fee")["reading"]["verdict"]["advice"] == (
        "keep running"
    )
    stop(stores, clock, "jane", "fee", "it has run")
    assert conclude_stopped(definitions, stores, clock, "upkeep") == 1
    door = Experiments(definitions, stores, clock, "jane")
    found = door.read_once("fee")
    kept = {row["metric"]: row for row in door.effects("experiment:fee", every=True)}
    assert list(kept) == ["revenue", "basket"]
    (revenue,) = found.by_metric["revenue"].arms
    assert kept["revenue"]["estimate"] == msgspec.to_builtins(revenue.effect.estimate)
    assert kept["revenue"]["unit"] == "EUR a period of 1h"
    assert kept["basket"]["unit"] == "EUR"

    shown = Measured(definitions, stores, clock).one("fee")
    assert shown["reading"]["verdict"]["words"].startswith("Ship dearer: revenue EUR +")
    assert [one["estimate"] for one in shown["effects"]] == [
        plain(found.by_metric[one["metric"]].arms[0].effect.estimate) for one in shown["effects"]
    ]
    tables = once.tables(shown["reading"], shown["by_metric"])
    blocks = tables["turns-revenue"].rows
    assert len(blocks) == 79
    # No washout, equal periods: an arm's mean is the mean of its blocks.
    means = [value for *_, arm, value in blocks if arm == "usual"]
    assert sum(means) / len(means) == pytest.approx(revenue.control)
    assert {name for name in tables if name.startswith("carried")} == {
        "carried-revenue-dearer",
        "carried-basket-dearer",
    }
    assert "order_completed" in shown["reading"]["sql"]["basket: order_completed"]


def test_what_is_not_to_be_trusted_is_kept_as_unknown(ran: tuple[Project, Stores]) -> None:
    _, stores = ran
    told = (stores, FixedClock(NOW))
    before = project(["basket"], name="other")
    began = (stores, FixedClock(BEGAN))
    register(before, *began, "jane", "other", {"unplanned": "a test"})
    start(before, *began, "jane", "other")
    stop(*told, "jane", "other", "it has run")
    after = project(["basket"], name="other", effect="30%")
    found = keep_once(after, *told, "jane", "other")
    assert found.reading.verdict.advice == "do not trust"
    (kept,) = latest(stores.ledger, "experiment:other")
    assert isinstance(kept.estimate, Unknown)
    assert "changed after it was registered" in kept.estimate.reason


def test_one_whose_metric_is_gone_stops_neither_its_page_nor_the_upkeep(
    ran: tuple[Project, Stores],
) -> None:
    _, stores = ran
    told = (stores, FixedClock(NOW))
    before = project(["orders"], name="old")
    began = (stores, FixedClock(BEGAN))
    register(before, *began, "jane", "old", {"unplanned": "a test"})
    start(before, *began, "jane", "old")
    stop(*told, "jane", "old", "it has run")
    after = project(["revenue"], name="old", without="orders")
    assert conclude_stopped(after, *told, "upkeep") == 0
    assert "orders" in Measured(after, *told).one("old")["why"]


def test_refusals(ran: tuple[Project, Stores]) -> None:
    definitions, stores = ran
    with pytest.raises(Refused, match="no block is over"):
        read_measured(definitions, stores, "fee", now=BEGAN + timedelta(hours=7))
    with pytest.raises(Refused, match="it was not started"):
        read_measured(project(name="new"), stores, "new", now=NOW)


def test_periods_fit_into_blocks_washouts_and_hours() -> None:
    for block, washout, length in (
        ("6h", "0s", "1h"),
        ("6h", "2h", "1h"),
        ("90min", "0s", "30min"),
        ("1d", "45min", "15min"),
        ("20min", "0s", "20min"),
    ):
        assert period_length(Switchback(Duration(block), Duration(washout))) == Duration(length)
