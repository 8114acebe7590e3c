"""Each check rings for what it is there for, and is quiet otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.experiments.checks import carry_over, exposure, history, mixing, novelty
from liftwerk.experiments.checks.evidence import Evidence
from liftwerk.experiments.checks.sample_ratio import mismatch
from liftwerk.experiments.read import gather
from liftwerk.experiments.register import register
from liftwerk.experiments.ring import alarms, ring
from liftwerk.experiments.start import start
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, put
from tests.experiments.trial import END, METRICS, START, Trial

PLAN = {"unplanned": "a test"}


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    trial = Trial(customers=800)
    home = Home.open(tmp_path_factory.mktemp("trial") / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        trial.tell(trial.project(), stores)
        yield gather(trial.project(), stores, "greeting", AsOf(END), {})


def test_mismatch_is_seldom_seen_where_there_is_none_however_often_one_looks() -> None:
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(300):
        steps = rng.multinomial(100, [0.5, 0.3, 0.2], size=25).cumsum(axis=0)
        false += any(mismatch(counts.tolist(), [0.5, 0.3, 0.2]) < 0.05 for counts in steps)
    # 15 of 300 may; 99.9% of binomial draws at 5% stay below 28.
    assert false < 28


@pytest.mark.parametrize(("lost", "n"), [(0.4, 800), (0.1, 8_000), (0.03, 200_000)])
def test_large_mismatches_are_seen_early_and_small_ones_later(lost: float, n: int) -> None:
    half = n // 2
    assert mismatch([half, round(half * (1 - lost))], [0.5, 0.5]) < 0.001


def test_arms_that_are_alike_are_ok(evidence: Evidence) -> None:
    for check in (carry_over.check, exposure.check, history.check, mixing.check, novelty.check):
        assert check(evidence)[0] == "ok", check(evidence)


def test_an_arm_that_is_met_more_often_rings(evidence: Evidence) -> None:
    table = evidence.spine.table
    warm = np.array(table.column("arm").to_pylist()) == "warm"
    exposed = table.column("exposed").to_pylist()
    fewer = [
        None if is_warm and row % 3 else at
        for row, (is_warm, at) in enumerate(zip(warm.tolist(), exposed, strict=True))
    ]
    place = table.column_names.index("exposed")
    typed = table.schema.field("exposed")
    changed = table.set_column(place, typed, [fewer])
    spine = dataclasses.replace(evidence.spine, table=changed)
    state, words = exposure.check(dataclasses.replace(evidence, spine=spine))
    assert state == "alarm"
    assert "Trust the reading of all units" in words


def test_many_mixed_units_ring(evidence: Evidence) -> None:
    few = dataclasses.replace(evidence.spine, mixed=8)
    many = dataclasses.replace(evidence.spine, mixed=80)
    assert mixing.check(dataclasses.replace(evidence, spine=few))[0] == "ok"
    state, words = mixing.check(dataclasses.replace(evidence, spine=many))
    assert state == "alarm"
    assert words.startswith("80 units (9.1%)")


def test_arms_that_differed_before_ring(evidence: Evidence) -> None:
    units = evidence.units
    lot = np.random.default_rng(2).random(len(units)) < 0.3
    rich = ((evidence.past[0] > 0) ^ lot).astype(np.int64)
    told = dataclasses.replace(evidence, units=dataclasses.replace(units, arm=rich))
    state, words = carry_over.check(told)
    assert state == "alarm"
    assert "was already better" in words


def test_an_effect_that_fades_rings(tmp_path: Path) -> None:
    """Everybody of the warm arm buys within a day, and as ever later."""
    trial = Trial(customers=800)
    more = [
        event(
            "order_completed",
            900_000 + number,
            identifiers=one["identifiers"],
            time=(datetime.fromisoformat(one["time"]) + timedelta(hours=20)).isoformat(),
            properties={"order_id": f"early{number}", "revenue": f"{30 + number % 7}.00"},
        )
        for number, one in enumerate(trial.events())
        if one["name"] == "assigned" and one["properties"]["arm"] == "warm"
    ]
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as stores, home.hold("test"):
        trial.tell(trial.project(), stores)
        assert put(trial.project(), stores, *more, at=END) == []
        compact(trial.project(), stores, FixedClock(END))
        found = gather(trial.project(), stores, "greeting", AsOf(END), {})
        state, words = novelty.check(found)
    assert state == "alarm"
    assert "comes in the first half (EUR +" in words


def two_experiments() -> Project:
    told: dict[str, Any] = {
        "design": "ab",
        "description": "One of two in a layer",
        "arms": {"control": {}, "warm": {}},
        "metrics": ["views"],
        "purpose": "measurement",
        "placement": None,
        "layer": "page",
        "share": "50%",
    }
    return shops.shop(experiments={"first": told, "second": told}, metrics=METRICS)


def assigned(experiment: str, customer: int, warm: bool, at: datetime) -> dict[str, Any]:
    said = {"experiment": experiment, "arm": "warm" if warm else "control", "probability": 0.5}
    number = 2 * customer + (experiment == "second")
    who = {"email": f"c{customer}@example.com"}
    return event("assigned", number + 1, identifiers=who, time=at.isoformat(), properties=said)


@pytest.mark.parametrize(("follows", "state"), [(0.5, "unknown"), (0.8, "alarm")])
def test_an_earlier_experiment_that_is_spread_unevenly_rings(
    stores: Stores, follows: float, state: str
) -> None:
    """Who was warmed by the first is warmed again by the second, more often than by lot."""
    project, rng = two_experiments(), np.random.default_rng(3)
    for place, name in enumerate(("first", "second")):
        clock = FixedClock(START + timedelta(days=place))
        register(project, stores, clock, "ada", name, PLAN)
        start(project, stores, clock, "ada", name)
    told = []
    for customer in range(600):
        first = bool(rng.random() < 0.5)
        second = first if rng.random() < follows else not first
        told += [
            assigned("first", customer, first, START),
            assigned("second", customer, second, START + timedelta(days=2)),
        ]
    assert put(project, stores, *told, at=END) == []
    compact(project, stores, FixedClock(END))
    found = gather(project, stores, "second", AsOf(END), {})
    # Nobody looked at a page before, so of that nothing is known.
    told_state, words = carry_over.check(found)
    assert told_state == state, words
    assert "first" in words


def test_the_alarm_rings_once_while_it_runs(stores: Stores) -> None:
    project, clock = two_experiments(), FixedClock(START)
    register(project, stores, clock, "ada", "first", PLAN)
    start(project, stores, clock, "ada", "first")
    even = [assigned("first", customer, customer % 2 == 0, START) for customer in range(200)]
    assert put(project, stores, *even, at=START + timedelta(days=1)) == []
    compact(project, stores, FixedClock(START + timedelta(days=1)))
    assert ring(project, stores, FixedClock(START + timedelta(days=1)), "ada") == ()
    lost = [assigned("first", customer, False, START) for customer in range(200, 400)]
    assert put(project, stores, *lost, at=START + timedelta(days=2)) == []
    compact(project, stores, FixedClock(START + timedelta(days=2)))
    (rung,) = ring(project, stores, FixedClock(START + timedelta(days=2)), "ada")
    assert rung.experiment == "first"
    assert "warm has 100 units where 200 were" in rung.words
    assert ring(project, stores, FixedClock(START + timedelta(days=3)), "ada") == ()
    assert alarms(stores.ledger) == (rung,)
