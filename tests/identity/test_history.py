"""Each row of a training set knows its customer as of its own time, and no later merge."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.as_of import training_set
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.instants import to_microseconds
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import event, granted, order, put

from .naive import Fact, World

START = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = {
    "views": {"entity": "customer", "from": "page_viewed", "aggregate": "count"},
    "stars": {
        "entity": "customer",
        "from": "rated",
        "aggregate": "last",
        "property": "stars",
    },
}
EMAIL, DEVICE = 0, 1
SPACES = ("email", "device")


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def key(leaf: tuple[int, str]) -> bytes:
    return leaf_key(SPACES[leaf[0]], leaf[1])


def spine(rows: list[tuple[bytes, datetime]], decisions: list[bytes] | None = None) -> pa.Table:
    columns: dict[str, Any] = {
        "customer": pa.array([leaf for leaf, _ in rows], pa.binary()),
        "time": pa.array([time for _, time in rows], pa.timestamp("us", "UTC")),
    }
    if decisions is not None:
        columns["decision"] = pa.array(decisions, pa.binary())
    return pa.table(columns)


@pytest.mark.parametrize("seed", [1, 2])
def test_equals_the_rule_row_by_row(seed: int, stores: Stores, clock: FixedClock) -> None:
    draw = random.Random(seed)
    project = shops.shop(features=FEATURES, identity={"at_most": 3})
    leaves = [(space, f"{n}@x") for space in (EMAIL, DEVICE) for n in range(6)]
    views: list[tuple[tuple[int, str], int, int]] = []
    facts: list[Fact] = []
    for number in range(1, 71):
        hour = draw.randrange(60)
        known = hour + draw.choice([0, 0, 0, 3, 20])
        offset = number
        named = draw.choice([[EMAIL], [DEVICE], [EMAIL, DEVICE]])
        chosen = {space: draw.choice(leaves[6 * space : 6 * space + 6]) for space in named}
        told = {SPACES[space]: leaf[1] for space, leaf in chosen.items()}
        micros, seen = to_microseconds(at(hour)), to_microseconds(at(known))
        name, properties = "page_viewed", {}
        if len(named) == 2 and number % 7 == 0:
            name, properties = "identity_unlinked", {"reason": "no"}
        body = event(name, number, time=at(hour), identifiers=told, properties=properties)
        put(project, stores, {**body, "known_at": at(known)}, source="file")
        if len(named) == 2:
            kind = {"page_viewed": "seen", "identity_unlinked": "apart"}[name]
            facts.append(Fact(chosen[EMAIL], chosen[DEVICE], micros, seen, offset, kind))
        if name == "page_viewed":
            views.append((min(chosen.values()), micros, seen))
    compact(project, stores, clock)
    asked = [(draw.choice(leaves), at(draw.randrange(-1, 90))) for _ in range(60)]
    found = training_set(
        project,
        stores,
        spine([(key(leaf), time) for leaf, time in asked]),
        ["views"],
        "measurement",
    )
    world = World(facts, at_most=3)
    wanted = []
    for leaf, time in asked:
        now = to_microseconds(time)
        customers = world.customers(now)
        wanted.append(
            sum(
                customers.get(whose, whose) == customers.get(leaf, leaf)
                for whose, happened, known in views
                if happened < now and known <= now
            )
        )
    assert found.column("views").to_pylist() == wanted
    assert len(set(wanted)) > 4
    merged = sum(world.customers(to_microseconds(at(90)))[leaf] != leaf for leaf in world.leaves())
    assert merged > 2


def test_a_later_merge_teaches_a_decision_nothing(stores: Stores, clock: FixedClock) -> None:
    project = shops.shop(features=FEATURES)
    email, device = key((EMAIL, "ada@example.com")), key((DEVICE, "phone"))
    ada, phone = {"email": "ada@example.com"}, {"device": "phone"}
    decided = {
        "placement": "mail",
        "eligible": ["a", "b"],
        "action": "a",
        "probability": 0.5,
        "control_action": "b",
    }
    put(
        project,
        stores,
        event("rated", 1, time=at(1), identifiers=ada, properties={"stars": 1}),
        event(number=2, time=at(2), identifiers=phone),
        event("decision_made", 3, time=at(10), identifiers=phone, properties=decided),
        source="file",
    )
    put(
        project,
        stores,
        event(number=4, time=at(20), identifiers={**ada, **phone}),
        source="file",
    )
    compact(project, stores, clock)
    decision = (3).to_bytes(16, "big")
    names = ["views", "stars"]
    # Today the decision is of Ada, whose key is that of her address; then it was of a phone.
    rows = spine([(email, at(10)), (email, at(21))], [decision, bytes(16)])
    found = training_set(project, stores, rows, names, "measurement")
    assert found.select(names).to_pylist() == [
        {"views": 1.0, "stars": None},
        {"views": 2.0, "stars": 1},
    ]
    assert found.column("customer").to_pylist() == [email, email]
    # Below the offset of the link nobody was merged, whatever the time that is asked for.
    rows = spine([(device, at(21)), (email, at(21))])
    found = training_set(project, stores, rows, names, "measurement", AsOf(offset=3))
    assert found.select(names).to_pylist() == [
        {"views": 1.0, "stars": None},
        {"views": 0.0, "stars": 1},
    ]


def test_a_history_holds_only_what_may_be_read(stores: Stores, clock: FixedClock) -> None:
    project = shops.shop(features=FEATURES)
    ada, both = {"email": "ada@example.com"}, {"email": "ada@example.com", "device": "phone"}
    put(
        project,
        stores,
        event(number=1, time=at(1), identifiers=both, consent=granted("ads")),
        event(number=2, time=at(2), identifiers=ada),
        event(number=3, time=at(3), identifiers={"device": "phone"}, consent=granted("ads")),
        source="file",
    )
    compact(project, stores, clock)
    rows = spine([(key((EMAIL, "ada@example.com")), at(9))])
    for purpose, count in (("measurement", 3.0), ("ads", 2.0)):
        found = training_set(project, stores, rows, ["views"], purpose)
        assert found.column("views").to_pylist() == [count]


@pytest.mark.parametrize("merged", [False, True])
def test_a_row_knows_the_best_report_of_its_own_time(
    merged: bool, stores: Stores, clock: FixedClock
) -> None:
    spend = {
        "entity": "customer",
        "from": "order_completed",
        "aggregate": "sum",
        "property": "revenue",
    }
    project = shops.shop(features={"spend": spend})
    told = [("web", 2, "1.00"), ("till", 5, "10.00"), ("web", 8, "100.00")]
    for number, (source, hour, revenue) in enumerate(told, 1):
        body = order(number, "a", revenue, time=at(1))
        put(project, stores, body, source=source, at=at(hour))
    if merged:
        both = {"email": "ada@example.com", "device": "phone"}
        put(project, stores, event(number=4, time=at(0), identifiers=both), at=at(0))
    compact(project, stores, clock)
    ada = key((EMAIL, "ada@example.com"))
    rows = spine([(ada, at(hour)) for hour in (1, 2, 4, 5, 8, 9)])
    found = training_set(project, stores, rows, ["spend"], "accounting")
    assert found.column("spend").to_pylist() == [0.0, 1.0, 1.0, 10.0, 10.0, 10.0]
    # Up to the first report nobody knew a better one.
    found = training_set(project, stores, rows, ["spend"], "accounting", AsOf(offset=1))
    assert found.column("spend").to_pylist() == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
