"""The customers of a later state that follow from an earlier one are those made from nothing."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.retain import retain
from liftwerk.events.tail import Behind, Tail
from liftwerk.identity import customers as continuing
from liftwerk.identity import mapping
from liftwerk.identity.components import Facts
from liftwerk.identity.customers import Customers
from liftwerk.identity.keys import BYTES, in_one
from liftwerk.identity.links import Links, joined, read_links
from liftwerk.identity.mapping import customers_as_of
from liftwerk.identity.parts import Rules
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events import shop as shops
from tests.events.shop import event, put

from .histories import END, Comes, Goes, Sorts, at, erase_one, history, shop
from .naive import Fact, World
from .test_components import DEVICE, Leaf, worlds

SPACES = 3


def key(leaf: Leaf) -> bytes:
    return hashlib.sha256(repr(leaf).encode()).digest()[:16]


def said(facts: Iterable[Fact]) -> Links:
    """Tell facts as events do that are read together."""
    links, told = [], []
    for fact in facts:
        pair = sorted((fact.one, fact.other), key=lambda leaf: (leaf[0], key(leaf)))
        row = [*pair, fact.since, fact.time, fact.known, fact.offset]
        if fact.kind != "apart":
            links.append(row)
        if fact.kind != "seen":
            told.append((row, fact.kind == "apart"))
    rows = [*links, *(row for row, _ in told)]
    leaves = [leaf for row in rows for leaf in row[:2]]
    ends = np.arange(len(leaves)).reshape(-1, 2)
    whens = np.array([row[2:] for row in rows], np.int64).reshape(-1, 4)
    columns = Facts(*ends.T, *whens.T)
    are_links = np.arange(len(rows)) < len(links)
    raw = Links(
        in_one(map(key, leaves)),
        np.array([space for space, _ in leaves], np.int64),
        columns.take(are_links),
        columns.take(~are_links),
        np.array([is_apart for _, is_apart in told], bool),
    )
    return joined([raw])


def rules(world: World) -> Rules:
    anonymous = [space in world.anonymous for space in range(SPACES)]
    return Rules(anonymous, world.at_most, in_one(map(key, world.shared)))


def demand_equal(found: Customers, wanted: Customers) -> None:
    for one, other in zip(found.links, wanted.links, strict=True):
        for mine, theirs in zip(np.atleast_2d(one), np.atleast_2d(other), strict=True):
            assert mine.tolist() == theirs.tolist()
    assert found.merged.equals(wanted.merged)
    assert found.states.equals(wanted.states)
    assert found.table().equals(wanted.table())
    whose = dict.fromkeys(wanted.links.leaves.to_pylist())
    assert found.groups_of(whose) == found.groups == wanted.groups
    assert found.whose(list(whose)) == wanted.whose(list(whose))
    pairs = found.others_of(wanted.links.leaves).to_pylist()
    assert len(pairs) == sum(len(group) // BYTES - 1 for group in wanted.groups.values())
    for pair in pairs:
        assert pair["leaf"] != pair["other"]
        assert wanted.groups[pair["leaf"]] == wanted.groups[pair["other"]]
    merged = {row["leaf"]: row["customer"] for row in wanted.merged.to_pylist()}
    assert wanted.whose(list(whose)) == {leaf: merged.get(leaf, leaf) for leaf in whose}


def difference(before: Customers, after: Customers) -> dict[bytes, bytes | None]:
    was, now = before.groups, after.groups
    return {leaf: now.get(leaf) for leaf in {**was, **now} if was.get(leaf) != now.get(leaf)}


def follow(world: World, cuts: Sequence[int]) -> Counter[str]:
    """Continue a world's customers from cut to cut, and compare them with those made anew."""
    counts: Counter[str] = Counter()
    declared = rules(world)
    states = [Customers.made_of(declared, said(world.facts[: cuts[0]]), NOW)]
    for first, last in zip(cuts, [*cuts[1:], len(world.facts)], strict=True):
        before = states[-1]
        after = before.continued(said(world.facts[first:last]), AsOf(offset=last))
        anew = Customers.made_of(declared, said(world.facts[:last]), NOW)
        demand_equal(after, anew)
        assert after.as_of == AsOf(offset=last)
        for older in states[-3:]:
            moved = after.regrouped_since(older)
            assert moved == difference(older, after)
            counts["moved"] += len(moved)
            assert older.regrouped_since(after) == difference(after, older)
        counts["same"] += after.is_state_of(before)
        counts["parts"] += len(after._parts) - 1
        states.append(after)
    return counts


@pytest.fixture(params=[0, 60, continuing.MOST])
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let parts stay as they are made, or be made one."""
    monkeypatch.setattr(continuing, "MOST", request.param)
    return int(request.param)


@settings(max_examples=40)
@given(world=worlds(), data=st.data())
def test_equals_what_is_made_of_the_whole(world: World, data: Any) -> None:
    places = st.integers(0, len(world.facts))
    cuts = sorted(data.draw(st.lists(places, min_size=1, max_size=6)))
    most = data.draw(st.sampled_from([0, 8, continuing.MOST]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(continuing, "MOST", most)
        follow(world, cuts)


def crowd(draw: random.Random, people: int, events: int) -> World:
    """Make up people with several devices, some of which many use; some are told apart."""
    facts: list[Fact] = []
    for offset in range(1, events + 1):
        person = draw.randrange(people)
        one, other = (0, f"e{person}"), (DEVICE, f"d{person}.{draw.randrange(3)}")
        if draw.random() < 0.1:
            other = (DEVICE, f"shared{draw.randrange(3)}")
        if draw.random() < 0.15:
            other = (1, f"p{person // 2}")
        if draw.random() < 0.05:
            other = (0, f"e{draw.randrange(people)}x")
        kind = "seen"
        if draw.random() < 0.1:
            again = draw.choice(facts or [Fact(one, other, 0, 0, 0)])
            one, other, kind = again.one, again.other, draw.choice(["apart", "apart", "told"])
        time = offset - draw.choice([0, 0, 0, 0, 3, 50])
        facts.append(Fact(one, other, time, draw.choice([time, offset]), offset, kind))
    shared: set[Leaf] = {(DEVICE, "shared2")}
    return World(facts, draw.choice([2, 4]), draw.choice([set(), {DEVICE}]), shared)


@pytest.mark.parametrize("seed", range(2))
def test_equals_it_in_a_crowd(seed: int, most: int) -> None:
    draw = random.Random(seed)
    world = crowd(draw, people=40, events=400)
    counts = follow(world, sorted(draw.randrange(400) for _ in range(25)))
    assert counts["moved"] > 100, counts
    assert counts["parts"] > 0


def test_what_is_known_changes_nothing() -> None:
    facts = [Fact((0, "p"), (DEVICE, "d"), n, n, n) for n in range(3)]
    first = Customers.made_of(rules(World(facts)), said(facts[:1]), AsOf(offset=0))
    again = first.continued(said(facts[1:]), AsOf(offset=2))
    assert again.is_state_of(first)
    assert again.links is first.links
    assert (first.as_of.offset, again.as_of.offset) == (0, 2)


def test_many_states_later_all_are_compared() -> None:
    facts = [Fact((0, f"p{n // 2}"), (DEVICE, f"d{n}"), n, n, n) for n in range(60)]
    first = Customers.made_of(rules(World(facts)), said([]), NOW)
    last = first
    for fact in facts:
        last = last.continued(said([fact]), NOW)
    assert last.regrouped_since(first) == last.groups
    assert first.regrouped_since(last) == dict.fromkeys(last.groups)


# --------------------------------------------------------------------------------- from the log


def made_anew(project: Project, stores: Stores, as_of: AsOf, tail: Behind | None) -> Customers:
    return Customers.made_of(
        Rules.of(project), read_links(project, stores, as_of, tail=tail), as_of
    )


def compare(
    project: Project, stores: Stores, as_of: AsOf, tail: Behind | None, counts: Counter[str]
) -> None:
    found = customers_as_of(project, stores, as_of, tail)
    if found is None:
        return
    counts["compared"] += 1
    demand_equal(found, made_anew(project, stores, found.as_of, tail))


def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how customers came about."""
    counts: Counter[str] = Counter()
    of, on = Customers.made_of, Customers.continued

    def made_of(*arguments: Any) -> Customers:
        counts["anew"] += 1
        return of(*arguments)

    def continued(*arguments: Any) -> Customers:
        counts["continued"] += 1
        return on(*arguments)

    monkeypatch.setattr(mapping.Customers, "made_of", made_of)
    monkeypatch.setattr(mapping.Customers, "continued", continued)
    return counts


def live(
    project: Project, stores: Stores, draw: random.Random, events: int, counts: Counter[str]
) -> None:
    """Live a history, and compare after every step, as of its end and of other offsets."""
    tail = Tail(project, stores)
    offset = 0
    for step in history(draw, events):
        match step:
            case Comes():
                put(project, stores, step.body, source=step.source, at=at(step.hour))
            case Sorts():
                compact(project, stores, FixedClock(END))
            case Goes():
                compact(project, stores, FixedClock(END))
                erase_one(project, stores, f"{step.namespace}:{step.name}")
                counts["erased"] += 1
        if draw.random() < 0.3:
            continue  # several at once the next time
        with tail.reading(limit=draw.choice([1, 3, 100])) as behind:
            bounds = [NOW, NOW, NOW, AsOf(offset=offset), AsOf(at(12)), AsOf(at(20), offset)]
            compare(project, stores, draw.choice(bounds), behind, counts)
            offset = behind.offset
        if draw.random() < 0.2:
            compare(project, stores, NOW, None, counts)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 5])
def test_equals_what_is_made_of_the_log(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "MOST", 0)
    ways = made(monkeypatch)
    project, counts = shop(), Counter[str]()
    with open_stores(Home.open(tmp_path / "home", create=True)) as stores, stores.home.hold("test"):
        live(project, stores, random.Random(seed), 30, counts)
    assert ways["continued"] > 4, ways
    # One of each was made to compare with.
    assert ways["anew"] - counts["compared"] < counts["compared"] / 2, (ways, counts)


def test_a_new_snapshot_continues_the_one_before_unless_rows_were_taken_out(
    stores: Stores, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = made(monkeypatch)
    project = shop()

    def seen(number: int, **identifiers: str) -> Customers:
        body = event(number=number, identifiers=identifiers)
        assert put(project, stores, body, source="till") == []
        compact(project, stores, clock)
        found = customers_as_of(project, stores)
        assert found is not None
        return found

    first = seen(1, email="ada@x.org", device="d1")
    same = seen(2, email="ada@x.org", device="d1")
    assert same.is_state_of(first)
    derived = same.states
    again = customers_as_of(project, stores)
    assert again is not None
    assert again.states is derived
    second = seen(3, email="bob@x.org", device="d2")
    assert ways == {"anew": 1, "continued": 2}
    demand_equal(second, made_anew(project, stores, second.as_of, None))
    earlier = customers_as_of(project, stores, AsOf(offset=2))
    assert earlier is not None
    assert earlier.is_state_of(first)
    erase_one(project, stores, "email:bob@x.org")
    ways.clear()
    third = seen(4, email="eve@x.org", device="d3")
    assert ways["anew"] > 0
    assert len(third.groups) == 4


def test_what_a_retention_takes_out_links_no_longer(stores: Stores, clock: FixedClock) -> None:
    events = {**shops.SHOP["events"]}
    events["page_viewed"] = {**events["page_viewed"], "retention": "1 year"}
    project = shops.shop(events=events)
    both = {"email": "ada@x.org", "device": "d1"}
    put(project, stores, event(number=1, identifiers=both, time="2024-01-01T12:00:00Z"))
    compact(project, stores, clock)
    before = customers_as_of(project, stores)
    assert before is not None
    assert len(before.groups) == 2
    assert retain(project, stores, clock)
    put(project, stores, event(number=2, identifiers={"email": "bob@x.org", "device": "d2"}))
    compact(project, stores, clock)
    after = customers_as_of(project, stores)
    assert after is not None
    assert len(after.groups) == 2
    demand_equal(after, made_anew(project, stores, after.as_of, None))
    gone = dict.fromkeys(before.groups)
    assert after.regrouped_since(before) == {**gone, **after.groups}
