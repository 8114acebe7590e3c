"""A fill that was left goes on where it was, and comes to the same."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import UnknownName
from liftwerk.events.compact import compact
from liftwerk.features import fill
from liftwerk.features.as_of import current
from liftwerk.features.fill import Filled, part_sql, parts_of
from liftwerk.features.kept import kept_view
from liftwerk.features.serve import Server
from liftwerk.features.standing import standings
from liftwerk.features.update import Updater
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import put
from tests.features.kept_rows import kept_rows
from tests.features.test_update import FEATURES
from tests.identity.histories import END, LEAVES, Comes, Step, at, erase_one, history

pytestmark = pytest.mark.slow

HOUR = 60
NAMES = ("views", "spend", "mean_9h", "last_order", "loyalty")
SHOP = shops.shop(
    identity={"at_most": 2},
    features={name: FEATURES[name] for name in NAMES},
    feature_views={"ads": {"purpose": "ads", "features": list(NAMES)}},
)


class Left(Exception):
    """Whoever was filling is gone."""


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(fill, "PART", 6)
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        yield stores


def come(stores: Stores, steps: Iterable[Step], sort: bool = True) -> None:
    for step in steps:
        if isinstance(step, Comes):
            put(SHOP, stores, step.body, source=step.source, at=at(step.hour))
    if sort:
        compact(SHOP, stores, FixedClock(END))


def fill_until(stores: Stores, done: int) -> None:
    """Fill the first view, and be gone when so many parts are there."""

    def tell(filled: Filled) -> None:
        if filled.done == done:
            raise Left

    with pytest.raises(Left):
        Updater(SHOP, stores, FixedClock(at(HOUR)), filled=tell).catch_up()


def begun_at(stores: Stores) -> list[int]:
    """Finish it; returns how many parts were there at each telling."""
    told: list[int] = []
    clock = FixedClock(at(HOUR))
    Updater(SHOP, stores, clock, filled=lambda one: told.append(one.done)).catch_up()
    return told


def compare(stores: Stores) -> int:
    """Hold what is served against what training reads; returns of how many anything is known."""
    leaves = list(LEAVES)
    now = at(HOUR + 1)
    wanted = current(SHOP, stores, leaves, NAMES, "ads", now).to_pylist()
    found = Server(SHOP, stores, "ads", FixedClock(now)).get_many([(leaf,) for leaf in leaves])
    for row, served in zip(wanted, found, strict=True):
        assert served.values == {name: row[name] for name in NAMES}
    return sum(row["views"] > 0 or row["spend"] > 0 for row in wanted)


def fresh(stores: Stores) -> dict[str, Any]:
    updater = Updater(SHOP, stores, FixedClock(at(HOUR)))
    updater.forget()
    updater.catch_up()
    return kept_rows(stores.online)


@pytest.mark.parametrize(("done", "sort"), [(1, True), (3, False), (5, True)])
def test_it_goes_on_where_it_was_while_the_log_went_on(
    stores: Stores, done: int, sort: bool
) -> None:
    steps = history(random.Random(8), events=60)
    come(stores, steps[: len(steps) // 2])
    fill_until(stores, done)
    ((_, _, offset),) = Updater(SHOP, stores, FixedClock(at(HOUR))).rows()
    assert offset is None
    with pytest.raises(UnknownName, match="were never made"):
        Server(SHOP, stores, "ads", FixedClock(at(HOUR))).get(next(iter(LEAVES)))
    # Among them are withdrawals, better reports of orders, links and their taking back.
    come(stores, steps[len(steps) // 2 :], sort)
    told = begun_at(stores)
    assert told[0] == done
    assert told[-1] == 5
    if not sort:
        compact(SHOP, stores, FixedClock(END))
    assert compare(stores) > 2
    assert kept_rows(stores.online) == fresh(stores)


def test_after_an_erasure_it_begins_anew(stores: Stores) -> None:
    come(stores, history(random.Random(8), events=30))
    fill_until(stores, 4)
    erase_one(SHOP, stores, "email:ada@x.org")
    assert begun_at(stores)[0] == 0
    compare(stores)
    assert kept_rows(stores.online) == fresh(stores)


def test_with_parts_of_another_size_it_begins_anew(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    come(stores, history(random.Random(8), events=30))
    fill_until(stores, 2)
    monkeypatch.setattr(fill, "PART", 9)
    assert begun_at(stores)[0] == 0
    assert kept_rows(stores.online) == fresh(stores)


def test_an_empty_log_is_filled_once(stores: Stores) -> None:
    updater = Updater(SHOP, stores, FixedClock(at(HOUR)))
    updater.catch_up()
    before = {space.name: space.progress for space in stores.online.spaces()}
    updater.catch_up()
    assert {space.name: space.progress for space in stores.online.spaces()} == before
    served = Server(SHOP, stores, "ads", FixedClock(at(HOUR))).get(next(iter(LEAVES)))
    assert (served.offset, served.missing["last_order"]) == (0, "never")
    assert standings(SHOP, stores, at(HOUR))["ads"].fresh == at(HOUR)
    come(stores, history(random.Random(3), events=9))
    updater.catch_up()
    compare(stores)


def test_parts_share_the_keys_out(stores: Stores) -> None:
    view = kept_view(SHOP, "ads")
    assert parts_of(view, 60) == 10
    assert part_sql(view, "page_viewed", 0, 1) == "TRUE"
    assert [part_sql(view, "page_viewed", number, 2) for number in range(2)] == [
        "\"customer\" < unhex('80')",
        "\"customer\" >= unhex('80')",
    ]
    sessions = shops.shop(
        features={"views": {"entity": "session", "from": "page_viewed", "aggregate": "count"}},
        feature_views={"now": {"entity": "session", "purpose": "ads", "features": ["views"]}},
    )
    assert part_sql(kept_view(sessions, "now"), "page_viewed", 1, 4) == (
        "left(md5(\"session\"::VARCHAR), 2) >= '40' AND left(md5(\"session\"::VARCHAR), 2) < '80'"
    )
