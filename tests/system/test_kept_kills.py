"""Who fills and follows views is killed at every place that matters, and nothing differs."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from liftwerk.features.checks.flags import read_flags
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events.shop import event, granted, order
from tests.identity.histories import Comes, Goes, Step, at, history
from tests.system.kept_kills import SHARED, Pair, accept_found, erase_customer, stages

pytestmark = pytest.mark.slow

FILLING = ("before:1", "after:1", "before:2", "after:2", "before:1", "after:1", "before:3")
FOLLOWING = ("before:1", "before:2", "after:1")
FIRST = 40
"""Steps before anything is filled, in five or six parts."""

BEGUN = 5
"""After which of these kills more comes in: most parts are there, and the next fills the rest."""

POINTS = 20


def test_kills_while_views_are_filled_and_follow_change_nothing(tmp_path: Path) -> None:
    draw = random.Random(20)
    steps = history(draw, events=80)
    first, (meanwhile, *later) = steps[:FIRST], stages(steps[FIRST:], 4)
    assert not any(isinstance(step, Goes) for step in meanwhile)  # else a fill begins anew
    pair = Pair(tmp_path)
    hour = pair.live(first, sort=True)
    for place, moment in enumerate(FILLING):
        assert pair.kill(hour, f"online_commit:{moment}"), moment
        if place == BEGUN:
            hour = pair.live(meanwhile, sort=True)  # what comes now, a fill that began knows not
    # Also what ends a fill, and what begins the next view's, is killed.
    while pair.kill(hour, "online_commit:after:1"):
        pass
    pair.follow(hour)
    pair.compare()
    for place, steps in enumerate(later):
        hour = pair.live(steps, sort=place % 2 == 1)
        for moment in FOLLOWING:
            pair.kill(hour, f"online_commit:{moment}")
        assert not pair.kill(hour)
        pair.follow(hour)
        pair.compare()
    assert pair.counts["killed"] >= POINTS, pair.counts
    assert pair.counts["rows"] > 50, pair.counts


ERASING = (
    "tombstone_commit:before",
    "tombstone_commit:after",
    # What is noted of rows that the events tell of which go: one view after another.
    "online_commit:before:1",
    "online_commit:after:1",
    "online_commit:before:3",
    "erase_collection:before:1",  # all is noted, and no row is gone
    "erase_collection:after:3",
    "table_write:after:1",
    "table_sync:after:2",
    "erase_collection:after:8",
    "erase_collection:after:9",
)


def test_kills_while_somebody_is_erased_change_nothing(tmp_path: Path) -> None:
    """Sessions and devices of several, a refusal that was said of them, and an order told twice."""
    pair = Pair(tmp_path, project=SHARED)
    hour = pair.live([*family()], sort=True)
    pair.kill(hour)
    pair.follow(hour)
    pair.compare()
    for name, moments in (("ada", ERASING), ("eve", ERASING[3:6])):
        gone = partial(erase_customer, f"email:{name}@x.org")
        for place, moment in enumerate(moments):
            assert pair.kill(hour, moment, work=gone), moment
            if place % 2:  # beside a server, the views go on meanwhile
                pair.kill(hour)
        assert not pair.kill(hour, work=gone)
        assert not pair.kill(hour)
        pair.quietly(hour, gone)
        pair.follow(hour)
        pair.compare()
        pair.compare_anew(hour)


def family() -> list[Step]:
    """Three with one tablet, one of whom refuses for all of them in its browser."""
    steps: list[Step] = []

    def comes(name: str, who: str | None, source: str = "web", **fields: Any) -> None:
        hour = len(steps) + 1
        # Only of a browser, whose word links nobody.
        identifiers = {"device": "tablet"} if source == "web" else {}
        if who is not None:
            identifiers["email"] = f"{who}@x.org"
        fields |= {"time": at(hour), "identifiers": identifiers, "session": "evening"}
        fields["consent"] = granted("ads", "personalisation")
        if name == "order_completed":
            steps.append(Comes(order(hour, **fields), source, hour))
        else:
            steps.append(Comes(event(name, hour, **fields), source, hour))

    for who in ("ada", "bob", "eve", None):
        comes("page_viewed", who)
    for source, who in (("till", "ada"), ("web", "bob"), ("file", "eve")):
        comes("order_completed", who, source, order_id="x", revenue=f"{len(steps)}.00")
    word = {"granted": [], "withdrawn": ["personalisation"]}
    comes("consent_changed", "ada", properties=word)
    for who in (None, "bob", "ada"):
        comes("page_viewed", who)
    return steps


HELD = 5
"""Which commit of a step is the held view's: the last of five."""


def test_kills_while_a_view_is_held_change_nothing(tmp_path: Path) -> None:
    pair = Pair(tmp_path, project=SHARED)
    sold = partial(sells, pair)
    hour = sold(1, "10.00")
    pair.follow(hour)
    pair.kill(hour)
    pair.compare()
    hour = sold(2, "-5.00")
    # Where the flag is raised; the other views have got on by the second time.
    for moment in (f"before:{HELD}", "after:1"):
        assert flags(pair) == 0
        assert pair.kill(hour, f"online_commit:{moment}"), moment
    assert flags(pair) == 1
    pair.kill(hour)
    pair.follow(hour)
    pair.compare()
    hour = sold(3, "7.00")
    passes = partial(accept_found, "checked")
    for moment in ("before:1", "after:1", "before:2"):
        # An entry in the ledger, what is accepted, and then the step that was held.
        assert pair.kill(hour, f"online_commit:{moment}", work=passes), moment
        assert flags(pair) == 1
    assert pair.kill(hour, "online_commit:after:2", work=passes)
    assert flags(pair) == 0
    pair.quietly(hour, passes)
    pair.kill(hour)
    pair.follow(hour)
    pair.compare()
    hour = sold(4, "-3.00")  # no worse than what was accepted: it passes
    pair.kill(hour)
    pair.follow(hour)
    pair.compare()
    assert flags(pair) == 0
    with open_stores(Home.open(pair.homes[1])) as stores:
        entries = [one for one in stores.ledger.audit() if one.action == "features.accept"]
    assert len(entries) == 4  # one of each that tried: what passes without one is unexplained


def sells(pair: Pair, number: int, revenue: str) -> int:
    who = {"email": f"c{number}@x.org"}
    consent = granted("ads", "personalisation")
    time = at(number - 1)
    body = order(number, f"o{number}", revenue, time=time, identifiers=who, consent=consent)
    return pair.live([Comes(body, "till", number)], sort=False)


def flags(pair: Pair) -> int:
    """Count the flags that stand in the home in which is killed."""
    with open_stores(Home.open(pair.homes[1])) as stores:
        return len(read_flags(stores.online))
