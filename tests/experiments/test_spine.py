"""The spine tells each unit once, by its first arm; testers and the mixed are left out, counted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import ProjectError, UnknownName
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.experiments.spine import Spine, assigned_units
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.stores import Stores
from tests.events import shop as shops
from tests.events.shop import NOW, event, granted, put

ADA = leaf_key("email", "ada@example.com")
BOB = leaf_key("email", "bob@example.com")
PHONE = leaf_key("device", "phone")
TABLET = leaf_key("device", "tablet")
DEVICES = {"email": {"normalise": "email"}, "device": {"anonymous": True}}
METRICS = {
    "orders": {
        "description": "Pages",
        "from": "page_viewed",
        "aggregate": "count",
        "within": "7d",
    }
}


def project(**fields: Any) -> Project:
    experiment = {
        "design": "ab",
        "description": "A warmer greeting",
        "arms": {"control": {}, "warm": {}},
        "metrics": ["orders"],
        "purpose": "measurement",
        **fields,
    }
    return shops.shop(identifiers=DEVICES, experiments={"greeting": experiment}, metrics=METRICS)


def assigned(number: int, arm: str, hour: int = 0, **fields: Any) -> dict[str, Any]:
    properties = {"experiment": "greeting", "arm": arm, "probability": 0.5}
    told = {**properties, **fields.pop("properties", {})}
    return event("assigned", number, time=at(hour), properties=told, **fields)


def shown(number: int, hour: int, **fields: Any) -> dict[str, Any]:
    properties = {"variant": "v", "placement": "page", "experiment": "greeting"}
    told = {**properties, **fields.pop("properties", {})}
    return event("variant_shown", number, time=at(hour), properties=told, **fields)


def at(hour: int) -> str:
    return moment(hour).isoformat()


def moment(hour: int) -> datetime:
    return NOW - timedelta(days=10) + timedelta(hours=hour)


def email(name: str) -> dict[str, str]:
    return {"email": f"{name}@example.com"}


def read(definitions: Project, stores: Stores, clock: FixedClock, *events: Any) -> Spine:
    assert put(definitions, stores, *events) == []
    compact(definitions, stores, clock)
    return assigned_units(definitions, stores, "greeting")


def test_each_customer_once_by_the_first_assignment(stores: Stores, clock: FixedClock) -> None:
    spine = read(
        project(),
        stores,
        clock,
        assigned(1, "warm", 2, identifiers=email("ada")),
        assigned(2, "warm", 1, identifiers=email("ada")),
        assigned(3, "control", 3, identifiers=email("bob")),
        assigned(4, "control", 3, properties={"experiment": "another"}),
        assigned(5, "control", 3, identifiers=email("cy"), synthetic=True),
        shown(6, 5, identifiers=email("ada"), properties={"arm": "warm"}),
        shown(7, 0, identifiers=email("bob"), properties={"arm": "warm"}),
        shown(8, 4, identifiers=email("bob"), properties={"experiment": "another"}),
    )
    rows = {row["unit"]: row for row in spine.table.to_pylist()}
    assert list(rows) == sorted([ADA, BOB])
    assert rows[ADA] == {
        "unit": ADA,
        "customer": ADA,
        "time": moment(1),
        "arm": "warm",
        "probability": 0.5,
        "exposed": moment(5),
        "period": 0,
    }
    # Another arm, or another experiment, is not what Bob was given.
    assert (rows[BOB]["arm"], rows[BOB]["exposed"]) == ("control", None)
    assert (spine.mixed, spine.testers) == (0, 0)


def test_two_arms_through_a_merge_are_left_out_and_counted(
    stores: Stores, clock: FixedClock
) -> None:
    spine = read(
        project(),
        stores,
        clock,
        assigned(1, "warm", 1, identifiers={"device": "phone"}),
        assigned(2, "control", 2, identifiers={"device": "tablet"}),
        assigned(3, "control", 3, identifiers=email("bob")),
        assigned(4, "control", 1, identifiers={"device": "watch"}),
        event(number=5, identifiers={**email("ada"), "device": "phone"}),
        event(number=6, identifiers={**email("ada"), "device": "tablet"}),
        event(number=7, identifiers={**email("bob"), "device": "watch"}),
    )
    [row] = spine.table.to_pylist()
    # Bob's watch had the same arm two hours earlier: that is when he came in.
    assert row["customer"] == BOB
    assert (row["unit"], row["time"]) == (leaf_key("device", "watch"), moment(1))
    assert (spine.mixed, spine.testers) == (1, 0)
    before = assigned_units(project(), stores, "greeting", as_of=AsOf(offset=4))
    assert (before.table.num_rows, before.mixed) == (4, 0)


def test_visitors_are_units_of_their_own_unless_their_customer_is_mixed(
    stores: Stores, clock: FixedClock
) -> None:
    spine = read(
        project(unit="visitor"),
        stores,
        clock,
        assigned(1, "warm", 1, identifiers={"device": "phone"}),
        assigned(2, "warm", 2, identifiers={"device": "tablet"}),
        assigned(3, "warm", 1, identifiers={"device": "tv"}),
        assigned(4, "control", 1, identifiers={"device": "watch"}),
        assigned(5, "warm", 1, identifiers=email("cy")),
        event(number=6, identifiers={**email("ada"), "device": "phone"}),
        event(number=7, identifiers={**email("ada"), "device": "tablet"}),
        event(number=8, identifiers={**email("bob"), "device": "tv"}),
        event(number=9, identifiers={**email("bob"), "device": "watch"}),
    )
    found = {(row["unit"], row["customer"]) for row in spine.table.to_pylist()}
    assert found == {(PHONE, ADA), (TABLET, ADA)}
    assert spine.mixed == 2


def test_sessions_of_one_customer_may_have_different_arms(
    stores: Stores, clock: FixedClock
) -> None:
    spine = read(
        project(unit="session"),
        stores,
        clock,
        assigned(1, "warm", 1, session="s-1"),
        assigned(2, "control", 2, session="s-2"),
        assigned(3, "control", 2, session="s-3"),
        assigned(4, "warm", 3, session="s-3"),
        shown(5, 4, session="s-2"),
    )
    found = {row["unit"]: row["exposed"] for row in spine.table.to_pylist()}
    assert found == {b"s-1": None, b"s-2": moment(4)}
    assert spine.mixed == 1


def test_testers_are_left_out_with_all_that_they_are(stores: Stores, clock: FixedClock) -> None:
    spine = read(
        project(testers={"device:phone": "warm"}),
        stores,
        clock,
        # Told before anybody named the phone a tester, and under Ada's other names.
        assigned(1, "control", 1, identifiers={"device": "phone"}),
        assigned(2, "control", 1, identifiers=email("ada")),
        assigned(3, "warm", 1, identifiers=email("bob"), properties={"tester": True}),
        assigned(4, "warm", 1, identifiers=email("cy")),
        event(number=5, identifiers={**email("ada"), "device": "phone"}),
    )
    assert spine.table.column("unit").to_pylist() == [leaf_key("email", "cy@example.com")]
    assert (spine.mixed, spine.testers) == (0, 2)


def test_consent_decides_what_is_read(stores: Stores, clock: FixedClock) -> None:
    spine = read(
        project(purpose="ads"),
        stores,
        clock,
        assigned(1, "warm", 1, identifiers=email("ada"), consent=granted("ads")),
        assigned(2, "warm", 1, identifiers=email("bob")),
    )
    assert spine.table.column("unit").to_pylist() == [ADA]


def test_an_exposure_of_another_kind_counts_from_the_assignment_on(
    stores: Stores, clock: FixedClock
) -> None:
    spine = read(
        project(exposure="page_viewed"),
        stores,
        clock,
        assigned(1, "warm", 2, identifiers=email("ada")),
        event(number=2, time=at(1), identifiers=email("ada")),
        event(number=3, time=at(5), identifiers=email("ada")),
        event(number=4, time=at(4), identifiers=email("ada")),
        assigned(5, "warm", 2, identifiers=email("bob")),
        event(number=6, time=at(1), identifiers=email("bob")),
    )
    found = {row["unit"]: row["exposed"] for row in spine.table.to_pylist()}
    assert found == {ADA: moment(4), BOB: None}


def test_in_a_rotating_holdout_each_period_counts_by_itself(
    stores: Stores, clock: FixedClock
) -> None:
    spine = read(
        project(design="holdout", rotate="2d"),
        stores,
        clock,
        assigned(1, "control", 0),
        assigned(2, "control", 1),
        assigned(3, "warm", 100),
        shown(4, 101),
    )
    rows = [(row["arm"], row["exposed"]) for row in spine.table.to_pylist()]
    assert rows == [("control", None), ("warm", moment(101))]
    [first, second] = spine.table.column("period").to_pylist()
    assert second - first == 2
    assert spine.mixed == 0


def test_nothing_was_assigned_yet(stores: Stores, clock: FixedClock) -> None:
    spine = read(project(), stores, clock, event())
    assert (spine.table.num_rows, spine.mixed, spine.testers) == (0, 0, 0)


def test_what_is_not_there_is_named(stores: Stores) -> None:
    with pytest.raises(UnknownName, match="greting"):
        assigned_units(project(), stores, "greting")
    none = {"email": {}, "device": {}}
    definitions = shops.shop(
        identifiers=none,
        metrics=METRICS,
        experiments={
            "greeting": {
                "design": "ab",
                "description": "x",
                "arms": {"a": {}, "b": {}},
                "metrics": ["orders"],
                "purpose": "measurement",
                "unit": "visitor",
            }
        },
    )
    with pytest.raises(ProjectError, match="nothing knows a visitor"):
        assigned_units(definitions, stores, "greeting")
