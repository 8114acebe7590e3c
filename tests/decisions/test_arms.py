"""Arms are read from the log's own events: what was drawn, with which chance, what it earned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from liftwerk.clock import FixedClock
from liftwerk.decisions.arms import read_placement
from liftwerk.definitions import Project
from liftwerk.errors import Refused
from liftwerk.events.compact import compact
from liftwerk.experiments.bandit import read_arms
from liftwerk.stats.adaptive import Log
from liftwerk.stats.estimate import Estimate
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import NOW, event, order, put
from tests.stats.adaptive.cells import Cell

ACTIONS = ("nothing", "banner", "voucher")
CELL = Cell("harm", "noise", "thompson", batches=8, size=100, floor=0.5)


@pytest.fixture(scope="module")
def project() -> Project:
    spent = {
        "description": "Spent",
        "from": "order_completed",
        "aggregate": "sum",
        "property": "revenue",
        "within": "3d",
    }
    return shops.shop(
        actions={name: {"label": name} for name in ACTIONS},
        placements={"page": {"channel": "web", "control": "nothing"}},
        metrics={"spent": spent},
    )


@pytest.fixture(scope="module")
def stores(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    clock = FixedClock(NOW)
    home = Home.open(tmp_path_factory.mktemp("arms") / "home", create=True)
    with open_stores(home) as opened, home.hold("test"):
        assert put(project, opened, *events()) == []
        compact(project, opened, clock)
        yield opened


def rewards(log: Log) -> np.ndarray:
    """What a simulated row earns, in money that a shop could take in."""
    return np.round(10.0 + np.maximum(log.reward, -9.0), 2)


def events() -> list[dict[str, Any]]:
    """A simulated bandit's log as events, told in another order than it was drawn in."""
    log = next(CELL.logs(1, 1))
    told = []
    for row in range(log.n):
        at = NOW - timedelta(days=10) + timedelta(minutes=row)
        who = {"identifiers": {"email": f"{row}@example.com"}}
        properties = {
            "unit": str(row),
            "placement": "page",
            "eligible": list(ACTIONS),
            "action": ACTIONS[log.action[row]],
            "probability": float(log.probability[row]),
            "probabilities": [float(chance) for chance in log.probabilities[row]],
            "control_action": "nothing",
            "policy_state": f"state-{log.batch[row]}",
        }
        told.append(
            event("decision_made", 1 + row, time=at.isoformat(), properties=properties, **who)
        )
        later = (at + timedelta(hours=1)).isoformat()
        revenue = f"{rewards(log)[row]:.2f}"
        told.append(order(10_000 + row, f"o{row}", revenue, time=later, **who))
    return list(reversed(told))


def test_arms_of_a_placement_are_those_of_the_simulated_log(
    project: Project, stores: Stores
) -> None:
    readings = read_placement(project, stores, "page", ACTIONS, "spent", "measurement", now=NOW)
    log = next(CELL.logs(1, 1))
    assert [reading.arm for reading in readings] == list(ACTIONS)
    assert [reading.drawn for reading in readings] == np.bincount(log.action).tolist()
    for number, reading in enumerate(readings):
        assert isinstance(reading.value, Estimate)
        assert reading.value.low < 10.0 + CELL.truth[number] < reading.value.high
    # To the last digit those of the log itself: same order, same states, same probabilities.
    same = Log(rewards(log), log.action, log.probability, log.batch, ACTIONS, log.probabilities)
    assert readings == read_arms(same)


def test_decisions_that_are_not_mature_are_left_out(project: Project, stores: Stores) -> None:
    early = NOW - timedelta(days=7) + timedelta(minutes=399)
    readings = read_placement(project, stores, "page", ACTIONS, "spent", "measurement", now=early)
    assert sum(reading.drawn for reading in readings) == 400


def test_without_decisions_it_is_refused(project: Project, stores: Stores) -> None:
    with pytest.raises(Refused, match="no decision to learn from"):
        read_placement(project, stores, "mail", ACTIONS, "spent", "measurement", now=NOW)
