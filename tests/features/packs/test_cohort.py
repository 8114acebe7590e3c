"""A cohort's values reach a customer by what the customer's own features say, and no other way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.errors import ProjectError
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.features.as_of import training_set
from liftwerk.features.recompute import Question, recompute
from liftwerk.features.serve import Server
from liftwerk.features.update import Updater
from liftwerk.features.version import feature_version
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events import shop as shops
from tests.events.entities import things
from tests.events.shop import event, put
from tests.identity.histories import END, at

ADA, EVE = leaf_key("email", "ada@x.org"), leaf_key("email", "eve@x.org")
NAMES = ["people_open_rate", "people_spend"]

VISIT = {
    "version": 1,
    "description": "A page",
    "properties": {"country": {"type": "string"}, "device": {"type": "string"}},
}
SEEN = {"country": "DE", "device": "phone"}
MARKET: dict[str, Any] = {
    "key": ["country", "device"],
    "description": "People of a country with a class of device",
    "properties": {
        "country": {"type": "string"},
        "device": {"type": "string"},
        "customers": {"type": "integer"},
        "open_rate": {"type": "number"},
        "spend": {"type": "money"},
        "label": {"type": "string", "required": False},
        "owner": {"type": "string", "required": False},
    },
}
PACK: dict[str, Any] = {
    "kind": "cohort",
    "entity": "market",
    "size": "customers",
    "values": ["open_rate", "spend"],
}


def told(of: str) -> dict[str, Any]:
    return {"entity": "customer", "from": "seen", "aggregate": "last", "property": of}


def shop(pack: dict[str, Any] | None = None, **more: Any) -> Project:
    sections: dict[str, Any] = {
        "events": {"seen": VISIT},
        "entities": {"market": MARKET},
        "features": {"country": told("country"), "device": told("device")},
        "feature_packs": {"people": PACK if pack is None else pack},
        "feature_views": {"crm": {"purpose": "measurement", "features": ["people.*"]}},
    }
    return shops.shop(**{**sections, **more})


def market(hour: int, known: int, country: str, customers: int, rate: float) -> Any:
    more = {"customers": customers, "open_rate": rate, "spend": "12.50"}
    return things.body("market", at(hour), at(known), country=country, device="phone", **more)


def test_training_serving_and_verifying_read_the_cohort_that_was_the_customers(
    tmp_path: Path,
) -> None:
    project = shop()
    seen = [("DE", 2), ("FR", 10), ("IT", 20)]
    rows = [
        market(0, 0, "DE", 80, 0.2),
        market(6, 8, "DE", 90, 0.3),  # held from hour 6, known at hour 8
        market(0, 0, "FR", 49, 0.4),  # one below the minimum
        market(0, 0, "IT", 50, 0.5),
    ]
    wanted = {1: (None, None), 5: (0.2, 12.5), 7: (0.2, 12.5), 9: (0.3, 12.5)}
    wanted |= {15: (None, None), 25: (0.5, 12.5)}
    hours = list(wanted)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        things.keep(project, stores, "market", [rows[0], *rows[2:]], FixedClock(at(0)))
        served = []
        for hour in hours:
            for number, (country, then) in enumerate(seen):
                if hour - 6 < then <= hour:
                    body = event("seen", number, time=at(then))
                    body["identifiers"] = {"email": "ada@x.org"}
                    body["properties"] = {"country": country, "device": "phone"}
                    put(project, stores, body, at=at(then))
            if hour == 9:
                things.keep(project, stores, "market", [rows[1]], FixedClock(at(8)))
                # The log goes on: what is served knows it up to an event.
                put(project, stores, event("seen", 9, time=at(8), properties=SEEN), at=at(8))
            if hour > 1:
                clock = FixedClock(at(hour))
                Updater(project, stores, clock).catch_up()
                served.append(Server(project, stores, "crm", clock).get(ADA))
        stranger = Server(project, stores, "crm", FixedClock(at(25))).get(EVE)
        compact(project, stores, FixedClock(END))
        time = pa.array([*map(at, hours), at(25)], pa.timestamp("us", "UTC"))
        spine = pa.table({"customer": [*[ADA] * len(hours), EVE], "time": time})
        trained = training_set(project, stores, spine, NAMES, "measurement").select(NAMES)
        again = [
            recompute(
                project, stores, [Question((ADA,), one.as_of)], NAMES, "measurement", one.offset
            )
            for one in served
        ]
    rows_of = [tuple(row.values()) for row in trained.to_pylist()]
    assert rows_of == [*wanted.values(), (None, None)]
    assert [tuple(one.values[name] for name in NAMES) for one in served] == rows_of[1:-1]
    assert [tuple(one.to_pylist()[0].values()) for one in again] == rows_of[1:-1]
    assert stranger.values == dict.fromkeys(NAMES)


def test_a_version_depends_on_what_says_the_cohort() -> None:
    before = shop()
    other = {"country": {**told("country"), "aggregate": "first"}, "device": told("device")}
    assert feature_version(before, NAMES[0]) != feature_version(shop(features=other), NAMES[0])
    smaller = shop({**PACK, "minimum": 49})
    assert feature_version(before, NAMES[0]) != feature_version(smaller, NAMES[0])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"entity": "markt"}, "feature_packs.people.entity is 'markt'.*did you mean 'market'"),
        ({"size": "people"}, "feature_packs.people.size is 'people'"),
        ({"values": ["label"]}, r"values\[0\] is 'label'.*it is of type string: name a number"),
        ({"minimum": 9}, "feature_packs.people.minimum is 9.*at least 10"),
    ],
)
def test_what_a_cohort_may_not_be(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        shop({**PACK, **changed})


def test_a_cohort_is_never_about_a_person() -> None:
    about = {**MARKET, "person": {"email": "owner"}}
    with pytest.raises(ProjectError, match="a cohort is of many"):
        shop(entities={"market": about})


def test_every_part_of_the_key_is_said_by_a_feature_of_its_type() -> None:
    with pytest.raises(ProjectError, match="no feature says the device of a customer"):
        shop(features={"country": told("country")})
    other = {**told("device"), "aggregate": "distinct"}
    with pytest.raises(ProjectError, match=r"there is no feature 'market\.customers' here"):
        shop(features={"country": told("country"), "device": other})
