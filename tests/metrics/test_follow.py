"""What is kept day by day is what a fresh count gives, to the last digit."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from liftwerk.clock import FixedClock
from liftwerk.events.compact import compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.governance.catalogue import fill_catalogue
from liftwerk.metrics import tally
from liftwerk.metrics.follow import Followed, follow
from liftwerk.metrics.latest import per_unit_now
from liftwerk.metrics.units import asked_columns, per_unit
from liftwerk.stats.moments import Moments
from liftwerk.store.catalogue import Subject
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events.entities.things import body, keep
from tests.events.shop import event, order, put
from tests.governance.erasing import erase_now, rows_of
from tests.metrics.business import business
from tests.metrics.shopping import END, PRODUCTS, STAMP, START, Shopping

DAY = timedelta(days=1)
CLOCK = FixedClock(END)
ASKED = ["basket", "profit", "new_customers", "churn", "bought", "large_orders"]
PURPOSE = "measurement"
PROJECT = business()


def same(stores: Stores, spine: pa.Table, number: int) -> Followed:
    """Follow, and hold it to a fresh count and to the moments of every unit's values."""
    given: Any = (spine, ASKED, PURPOSE)
    kept = follow(PROJECT, stores, "kept", *given)
    fresh = follow(PROJECT, stores, f"fresh{number}", *given)
    assert fresh.counted == spine.num_rows
    assert kept.cohorts == fresh.cohorts
    assert kept.columns == tuple(asked_columns(PROJECT, ASKED))
    rows = per_unit(PROJECT, stores, *given, now=END + DAY)
    assert per_unit_now(PROJECT, stores, "read", *given, now=END + DAY).equals(rows)
    for arm in ("control", "treated"):
        theirs = rows.filter(pa.compute.equal(rows.column("arm"), arm))
        wanted = Moments.of([theirs.column(name).to_numpy() for name in kept.columns])
        found = kept.moments(arm)
        assert found.n == wanted.n
        for name in ("means", "products", "cubes"):
            one, other = getattr(found, name), getattr(wanted, name)
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-6, err_msg=name)
    return kept


def corrected(chance: random.Random, number: int, told: dict[str, Any]) -> dict[str, Any]:
    """Make another report of an order: other money, and sometimes another person's."""
    changes = {"identifiers": told["identifiers"]}
    if chance.random() < 0.5:
        changes["identifiers"] = {"email": f"p{chance.randrange(40)}@example.com"}
    properties = {**told["properties"], "revenue": f"{chance.randrange(9000)}.99"}
    return {**told, **changes, "id": event(number=number)["id"], "properties": properties}


@pytest.mark.parametrize("seed", range(2))
def test_what_is_kept_is_a_fresh_count(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late and corrected events, merged identifiers, objections, back-dated costs, new units."""
    if seed == 1:
        # Many units are counted part by part.
        monkeypatch.setattr(tally, "SLICE", 7)
    chance = random.Random(seed)
    shopping = Shopping(seed, people=40, orders=150)
    events = list(shopping.events)
    chance.shuffle(events)
    for one in events:
        # Until something names both, an e-mail address and a device are two customers.
        named = one["identifiers"]
        if chance.random() < 0.4:
            named["device"] = f"second-{named['device']}"
        if chance.random() < 0.5 and len(named) == 2:
            del named[chance.choice(["email", "device"])]
    spine = shopping.spine()
    number = 1000
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.events = events[:30]
        shopping.tell(PROJECT, stores)
        few = 0
        for step in range(1, 5):
            # Of two reports of an order the shop's own is better than an imported one.
            batch = events[step * 30 : step * 30 + 30]
            assert put(PROJECT, stores, *batch, source="file", at=END) == []
            orders = [one for one in events[30 : step * 30] if one["name"] == "order_completed"]
            for told in chance.sample(orders, min(15, len(orders))):
                number += 1
                assert put(PROJECT, stores, corrected(chance, number, told), at=END) == []
            if step == 3:
                for person in range(20):
                    number += 1
                    whose = {"email": f"p{person}@example.com"}
                    said = event("consent_changed", number, identifiers=whose)
                    said["properties"] = {"granted": [], "withdrawn": [PURPOSE]}
                    assert put(PROJECT, stores, said, at=END) == []
            compact(PROJECT, stores, CLOCK)
            if step == 4:
                cost = body("product", START, START, sku=PRODUCTS[0], price="0.00", cost="1.23")
                keep(PROJECT, stores, "product", [cost], FixedClock(END + timedelta(seconds=1)))
            part = spine.slice(0, 34 + step)
            few += same(stores, part, step).counted < part.num_rows
        assert few >= 2
        assert follow(PROJECT, stores, "kept", part, ASKED, PURPOSE).counted == 0


def test_only_whose_events_are_new_are_counted(tmp_path: Path) -> None:
    shopping = Shopping(7, people=30, orders=60)
    spine = shopping.spine()
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.tell(PROJECT, stores)
        assert same(stores, spine, 0).counted == 30
        more = order(9000, "new", "12.34", identifiers={"device": "d3"}, time=END.isoformat())
        assert put(PROJECT, stores, more, at=END) == []
        compact(PROJECT, stores, CLOCK)
        assert same(stores, spine, 1).counted == 1


def test_who_is_erased_is_gone_from_what_is_kept(tmp_path: Path) -> None:
    shopping = Shopping(8, people=10, orders=40)
    spine, key = shopping.spine(), leaf_key("device", "d2")
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        shopping.tell(PROJECT, stores)
        same(stores, spine, 0)
        catalogue = fill_catalogue(PROJECT, stores, CLOCK)
        told = catalogue.export(Subject((key,)))
        assert len(told["unit totals"]) == 3
        done = erase_now(PROJECT, stores, CLOCK, "device:d2")
        assert rows_of(done)["unit totals"] == 3
        files = [path.read_bytes() for path in (stores.home.path / "totals").rglob("*.parquet")]
        assert not any(key in one for one in files)
        left = spine.filter(pa.compute.not_equal(spine.column("unit"), pa.scalar(key, pa.binary())))
        assert same(stores, left, 1).counted == 9


def test_orders_of_a_device_that_turns_out_to_be_theirs_are_counted(tmp_path: Path) -> None:
    """What says so is no event that is counted, and the unit's own key stays what it was."""
    ada = {"email": "ada@example.com"}
    early = START.isoformat()
    spine = pa.table(
        {
            "unit": pa.array([leaf_key("email", ada["email"])], pa.binary()),
            "customer": pa.array([leaf_key("email", ada["email"])], pa.binary()),
            "time": pa.array([START - DAY], STAMP),
            "arm": ["treated"],
        }
    )
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        first = order(1, "a", "10.00", identifiers=ada, time=early)
        second = order(2, "b", "5.00", identifiers={"device": "d9"}, time=early)
        assert put(PROJECT, stores, first, second, at=END) == []
        compact(PROJECT, stores, CLOCK)
        before = follow(PROJECT, stores, "kept", spine, ["basket"], PURPOSE)
        both = event("page_viewed", 3, identifiers={**ada, "device": "d9"}, time=early)
        assert put(PROJECT, stores, both, at=END) == []
        compact(PROJECT, stores, CLOCK)
        after = follow(PROJECT, stores, "kept", spine, ["basket"], PURPOSE)
    assert before.moments("treated").means.tolist() == [10.0, 1.0]
    assert after.moments("treated").means.tolist() == [15.0, 2.0]
    assert after.counted == 1
