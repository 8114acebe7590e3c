"""What is in quarantine is shown without its values, and judged again after a fix."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project, build
from liftwerk.events.admit import admit
from liftwerk.events.compact import CLASH, UNDECLARED, compact
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.quarantine import quarantined
from liftwerk.events.read import read
from liftwerk.events.replay import replay
from liftwerk.events.schema import schema_of
from liftwerk.sections import SECTIONS
from liftwerk.store.decisions.protocol import DecisionRecord
from liftwerk.store.home import Home
from liftwerk.store.inbox.protocol import Rejected
from liftwerk.store.stores import Stores, open_stores
from tests.events.shop import NOW, SHOP, event, order, put

STARS = "rated.stars: expected a whole number from 1 to 5"


def wider(**sources: Any) -> Project:
    """Return the shop after its fix: six stars are fine."""
    values = copy.deepcopy(SHOP)
    values["events"]["rated"]["properties"]["stars"]["maximum"] = "6"
    for name, changes in sources.items():
        values["sources"][name].update(changes)
    return build(values, SECTIONS)


def rated(number: int, stars: Any = 6, **fields: Any) -> dict[str, Any]:
    return event("rated", number, properties={"stars": stars}, **fields)


def refuse(
    project: Project,
    stores: Stores,
    *events: dict[str, Any] | bytes,
    source: str = "till",
    at: datetime = NOW,
) -> None:
    """Quarantine what is refused, as the collector does."""
    bodies = [one if isinstance(one, bytes) else msgspec.json.encode(one) for one in events]
    admitted = admit(bodies, schema_of(project), source, at)
    stores.inbox.quarantine_put(
        [Rejected(source, at, one.reason, one.path, bodies[one.index]) for one in admitted.refused]
    )


def ids(project: Project, stores: Stores, name: str = "rated") -> list[int]:
    table = read(project, stores, name, "audit", ["id"])
    return [int.from_bytes(one, "big") for one in table.column("id").to_pylist()]


# -------------------------------------------------------------------------------- what is there


def test_reasons_are_counted_with_examples_and_without_values(
    shop: Project, stores: Stores
) -> None:
    later = NOW + timedelta(hours=2)
    refuse(shop, stores, rated(1, "ada@example.com"), rated(2), b"{secret")
    refuse(shop, stores, rated(3, 5, session="s", secret="x"), rated(4), source="web", at=later)
    refuse(shop, stores, event("rated", 5, properties={"stars": 6, "ada": "x"}))
    groups = quarantined(shop, stores, examples=2)
    assert [(group.reason, group.count, group.sources) for group in groups] == [
        (STARS, 4, {"till": 3, "web": 1}),
        ("not JSON", 1, {"till": 1}),
        ("rated: no field 'secret' is declared", 1, {"web": 1}),
    ]
    assert (groups[0].first, groups[0].last) == (NOW, later)
    [first, second] = groups[0].examples
    assert first.id == "00000000-0000-0000-0000-000000000001"
    assert (first.event, first.source, first.detail) == ("rated", "till", "$.properties.stars")
    assert first.fields == (
        "id", "name", "version", "time", "identifiers.email", "properties.stars",
    )  # fmt: skip
    assert second.id == "00000000-0000-0000-0000-000000000002"
    assert (groups[1].examples[0].id, groups[1].examples[0].fields) == (None, ())
    assert groups[2].examples[0].undeclared == 1
    shown = msgspec.json.encode(groups).decode()
    assert "ada" not in shown
    assert "secret'" in shown  # the field's name, which the reason has from its sender
    assert [group.reason for group in quarantined(shop, stores, "JSON")] == ["not JSON"]


def test_bodies_are_shown_only_when_asked_for(shop: Project, stores: Stores) -> None:
    refuse(shop, stores, rated(1, "ada@example.com"))
    [group] = quarantined(shop, stores, bodies=True)
    assert "ada@example.com" in str(group.examples[0].body)


# -------------------------------------------------------------------------------------- replay


def test_after_the_fix_what_passes_becomes_an_event_and_the_rest_stays(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    early = NOW - timedelta(days=3)
    refuse(shop, stores, rated(1), rated(2, 7), b"{", rated(3, "x"), at=early)
    before = stores.inbox.quarantine_list()
    dry = replay(wider(), stores, dry_run=True)
    assert stores.inbox.quarantine_list() == before
    assert stores.inbox.count() == 0
    done = replay(wider(), stores)
    assert done == dry
    reason = "rated.stars: expected a whole number from 1 to 6"
    assert (done.events, done.stayed) == ({"rated": 1}, {reason: 2, "not JSON": 1})
    assert stores.inbox.quarantine_count() == {reason: 2, "not JSON": 1}
    compact(wider(), stores, clock)
    [row] = read(wider(), stores, "rated", "audit", ["stars", "received", "known_at"]).to_pylist()
    assert row == {"stars": 6, "received": early, "known_at": early}
    again = replay(wider(), stores)
    assert (again.events, again.stayed) == ({}, done.stayed)


def test_only_what_was_refused_for_a_reason(shop: Project, stores: Stores) -> None:
    refuse(shop, stores, rated(1), order(2, revenue="x"))
    assert replay(wider(), stores, "order_completed").events == {}
    assert replay(wider(), stores, "rated.stars").events == {"rated": 1}


def test_what_is_there_already_leaves_and_what_clashes_stays(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    refuse(shop, stores, rated(1), rated(2), rated(3), rated(3, sent_at="2026-02-01T13:00:00Z"))
    put(wider(), stores, rated(1), rated(2, 5), rated(4, 5), rated(4, 4))
    assert compact(wider(), stores, clock).quarantined == {CLASH: 1}
    done = replay(wider(), stores)
    assert (done.events, done.known, done.stayed) == ({"rated": 1}, 2, {CLASH: 2})
    compact(wider(), stores, clock)
    assert ids(wider(), stores) == [1, 2, 4, 3]


def test_a_version_that_is_declared_again_is_let_in(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    put(shop, stores, rated(1, 5))
    without = copy.deepcopy(SHOP)
    del without["events"]["rated"]
    assert compact(build(without, SECTIONS), stores, clock).quarantined == {UNDECLARED: 1}
    assert replay(shop, stores).events == {"rated": 1}


def test_what_was_sampled_once_is_not_sampled_twice(stores: Stores, clock: FixedClock) -> None:
    sampled = wider(till={"sample": "50%"})
    kept = [
        number
        for number in range(1, 20)
        if not put(sampled, stores, rated(number, identifiers={"device": f"d{number}"}))
        and stores.inbox.last_offset() > 0
    ]
    without = copy.deepcopy(SHOP)
    del without["events"]["rated"]
    compact(build(without, SECTIONS), stores, clock)
    many = sum(stores.inbox.quarantine_count().values())
    assert 0 < many < len(kept)
    assert replay(sampled, stores).events == {"rated": many}
    compact(sampled, stores, clock)
    weights = read(sampled, stores, "rated", "audit", ["weight"]).column("weight").to_pylist()
    assert weights == [2.0] * many


def test_the_erased_are_dropped(shop: Project, stores: Stores) -> None:
    refuse(shop, stores, rated(1), rated(2, identifiers={"device": "d"}))
    with stores.ledger.change("test", "test", "test", {}, NOW) as change:
        stores.ledger.bury(change, [leaf_key("email", "ada@example.com")])
    done = replay(wider(), stores)
    assert (done.events, done.erased) == ({"rated": 1}, 1)
    assert stores.inbox.quarantine_count() == {}


def test_what_no_door_let_in_stays_as_it_is(
    shop: Project, stores: Stores, clock: FixedClock
) -> None:
    said = {"placement": "mail", "eligible": ["a"], "action": "b", "control_action": "a"}
    body = msgspec.json.encode({**said, "probability": 1.0})
    stores.decisions.decide(
        DecisionRecord((1).to_bytes(16, "big"), leaf_key("device", "d"), "mail", NOW, body), []
    )
    compact(shop, stores, clock)
    row = {"import": "orders", "row": 3, "identifiers": {}, "columns": {"a": "1"}}
    stores.inbox.quarantine_put(
        [
            Rejected("file", NOW, "no key", "row 3", msgspec.json.encode(row)),
            Rejected("gone", NOW, STARS, "$", msgspec.json.encode(rated(1))),
        ]
    )
    kept = stores.inbox.quarantine_count()
    done = replay(wider(), stores)
    assert done.stayed == {
        "decision_made: action is not eligible": 1,
        "no key": 1,
        "the source 'gone' is no longer declared": 1,
    }
    assert {*kept, "the source 'gone' is no longer declared"} - {STARS} == {*done.stayed}


# --------------------------------------------------------------------------------------- kills

PROGRAM = """
import sys
from liftwerk.events.replay import replay
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores
from tests.events.test_replay import wider
with open_stores(Home.open(__import__("pathlib").Path(sys.argv[1]))) as stores:
    replay(wider(), stores)
"""


@pytest.mark.slow
@pytest.mark.parametrize("site", ["inbox_append:after", "quarantine_release:before"])
def test_killed_between_the_two_and_replayed_again_there_are_no_doubles(
    site: str, shop: Project, tmp_path: Path, clock: FixedClock
) -> None:
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as stores:
        refuse(shop, stores, *(rated(number) for number in range(1, 6)), rated(6, 7))
    killed = _replay(tmp_path / "home", site)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with open_stores(home) as stores:
        assert stores.inbox.count() == 5
        assert sum(stores.inbox.quarantine_count().values()) >= 6
        compact(wider(), stores, clock)  # the sequencer may come before the next replay, or after
    killed_late = _replay(tmp_path / "home", "quarantine_release:after")
    assert killed_late.returncode == -signal.SIGKILL, killed_late.stderr
    with open_stores(home) as stores:
        compact(wider(), stores, clock)
        assert sorted(ids(wider(), stores)) == [1, 2, 3, 4, 5]
        assert sum(stores.inbox.quarantine_count().values()) == 1


@pytest.mark.slow
def test_appended_twice_before_the_sequencer_comes_it_is_one_event(
    shop: Project, tmp_path: Path, clock: FixedClock
) -> None:
    home = Home.open(tmp_path / "home", create=True)
    with open_stores(home) as stores:
        refuse(shop, stores, rated(1), rated(2))
    assert _replay(tmp_path / "home", "quarantine_release:before").returncode == -signal.SIGKILL
    with open_stores(home) as stores:
        assert replay(wider(), stores).events == {"rated": 2}
        assert stores.inbox.count() == 4
        done = compact(wider(), stores, clock)
        assert (done.events, done.duplicates, done.quarantined) == ({"rated": 2}, 2, {})


def _replay(home: Path, site: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LIFTWERK_FAULT": site}
    command = [sys.executable, "-c", PROGRAM, str(home)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
