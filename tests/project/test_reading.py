"""A page reads and keeps nothing; what was stopped is concluded, by hand or by the upkeep."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import Refused
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.effects import latest
from liftwerk.experiments.register import register
from liftwerk.experiments.ring import ACTION
from liftwerk.experiments.start import start
from liftwerk.experiments.state import state_of
from liftwerk.experiments.stop import stop
from liftwerk.project.holdout import purpose_of, read_holdout
from liftwerk.project.reading import arm_costs, conclude_stopped, read_experiment
from liftwerk.project.upkeep import upkeep
from liftwerk.server.measured import Measured
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.experiments.trial import DAYS, END, START, Trial

ACTIONS: dict[str, Any] = {
    "nothing": {"label": "Nothing"},
    "mail": {"label": "Mail", "cost": "0.25"},
}
PLACED: dict[str, Any] = {
    "actions": ACTIONS,
    "placements": {"slot": {"channel": "email", "control": "nothing"}},
}


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as opened, home.hold("test"):
        yield opened


def begin(project: Project, stores: Stores) -> None:
    clock = FixedClock(START - timedelta(days=1))
    register(project, stores, clock, "ada", "greeting", {"unplanned": "a test"})
    start(project, stores, clock, "ada", "greeting")


def test_a_page_keeps_nothing_and_what_was_stopped_is_concluded(stores: Stores) -> None:
    trial = Trial(customers=900, effect=60.0)
    project = trial.project()
    begin(project, stores)
    trial.tell(project, stores)
    stop(stores, FixedClock(END - timedelta(days=3)), "ada", "greeting", "enough")
    before = state_of(stores.ledger, "greeting")
    pages = Measured(project, stores, FixedClock(END))
    shown = pages.one("greeting")
    assert shown["reading"]["verdict"]["words"]
    assert shown["stage"] == "stopped"
    assert pages.rows()[0]["verdict"] == shown["reading"]["verdict"]
    assert state_of(stores.ledger, "greeting") == before
    assert latest(stores.ledger) == []

    assert conclude_stopped(project, stores, FixedClock(END), "ada") == 1
    kept = {one.metric: one for one in latest(stores.ledger, "experiment:greeting")}
    figure = shown["reading"]["comparisons"][0]["absolute"]
    money = kept["revenue"].estimate
    assert isinstance(money, Estimate)
    assert (money.value, money.low) == (figure["value"], figure["low"])
    assert kept["revenue"].unit == "EUR a customer"
    # Units that came last mature until a week after the stop; some days later it is left alone.
    assert conclude_stopped(project, stores, FixedClock(END + timedelta(days=9)), "ada") == 1
    assert conclude_stopped(project, stores, FixedClock(END + timedelta(days=12)), "ada") == 0


def test_what_was_stopped_undecided_is_not_told_to_run_on(stores: Stores) -> None:
    trial = Trial(customers=900, effect=2.0)
    project = trial.project()
    begin(project, stores)
    trial.tell(project, stores)
    assert read_experiment(project, stores, FixedClock(END), "ada", "greeting").verdict.advice == (
        "keep running"
    )
    entered = START + timedelta(days=DAYS)
    stop(stores, FixedClock(entered), "ada", "greeting", "enough")
    # While the last units have not had their week there is something to wait for.
    said = []
    for now in (entered + timedelta(days=4), END):
        found = read_experiment(project, stores, FixedClock(now), "ada", "greeting")
        said.append(found.verdict)
    assert [one.advice for one in said] == ["keep running", "unclear"]
    assert said[1].words.startswith("Not decided for ")
    assert "plan it" in said[1].change


def test_what_cannot_be_trusted_is_no_effect_and_rings_by_itself(stores: Stores) -> None:
    trial = Trial(customers=500, effect=60.0, lost=0.5)
    project = trial.project()
    begin(project, stores)
    trial.tell(project, stores)
    clock = FixedClock(END)
    assert upkeep(project, stores, "ada", clock, None)["alarms"] == 1
    assert upkeep(project, stores, "ada", clock, END)["alarms"] == 0
    (entry,) = stores.ledger.audit(action=ACTION)
    (row,) = Measured(project, stores, clock).rows()
    assert row["alarms"] == [entry.detail["words"]]
    stop(stores, clock, "ada", "greeting", "units are lost")
    found = read_experiment(project, stores, clock, "ada", "greeting")
    assert found.verdict.advice == "do not trust"
    assert all(isinstance(one.estimate, Unknown) for one in latest(stores.ledger))


def test_an_arm_costs_what_its_action_does() -> None:
    experiment = {
        "design": "ab",
        "description": "A mail",
        "arms": {"control": {}, "mail": {"action": "mail"}},
        "metrics": ["views"],
        "purpose": "measurement",
        "placement": "slot",
    }
    views = {"description": "v", "from": "page_viewed", "aggregate": "count", "within": "7d"}
    goal = {"metric": "money", "holdout": "5%", "salt": "s"}
    money = {
        "description": "m",
        "from": "order_completed",
        "aggregate": "sum",
        "property": "revenue",
        "within": "7d",
    }
    metrics = {"views": views, "money": money}
    project = shops.shop(**PLACED, experiments={"mailing": experiment}, metrics=metrics, goal=goal)

    declared = project.get(EXPERIMENTS)["mailing"]
    assert arm_costs(project, declared) == {"control": Decimal(0), "mail": Decimal("0.25")}
    # Four purposes are declared, and nothing says which of them it is.
    with pytest.raises(Refused, match="for which purpose"):
        purpose_of(project)


def test_who_holds_nobody_out_is_told_that_first(stores: Stores) -> None:
    # That nothing says what would be read matters only after it.
    with pytest.raises(Refused, match="nobody is held out"):
        read_holdout(shops.shop(), stores, FixedClock(START))
