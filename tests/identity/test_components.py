"""Customers as of any time equal the rule, over random histories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.identity.components import FOREVER, Changes, Components, Facts

from .naive import Fact, World

Leaf = tuple[int, str]
Customers = dict[Leaf, Leaf]

EMAIL, PHONE, DEVICE = 0, 1, 2
LEAVES = [(space, name) for space in (EMAIL, PHONE, DEVICE) for name in "pqr"]


def components(world: World, up_to: int | None = None) -> tuple[list[Leaf], Components]:
    """Give a world to the code under test, as `liftwerk.identity.links` would."""
    facts = [fact for fact in world.facts if up_to is None or fact.offset <= up_to]
    facts.sort(key=lambda fact: (fact.since, fact.offset))
    pairs: dict[Any, Fact] = {}
    first: dict[Leaf, Fact] = {}
    for fact in facts:
        if fact.kind != "apart":
            pairs.setdefault(fact.pair, fact)
            first.setdefault(fact.one, fact)
            first.setdefault(fact.other, fact)
    leaves = sorted(first, key=lambda x: (x[0], first[x].since, first[x].offset, x[1]))
    said = [one for one in facts if one.kind != "seen" and one.pair <= set(leaves)]
    place = {leaf: number for number, leaf in enumerate(leaves)}

    def arrays(facts: list[Fact]) -> Facts:
        rows = [
            (place[one.one], place[one.other], one.since, one.time, one.known, one.offset)
            for one in facts
        ]
        return Facts(*np.array(rows, np.int64).reshape(-1, 6).T)

    return leaves, Components(
        np.array([leaf[0] for leaf in leaves], np.int64),
        arrays(list(pairs.values())),
        arrays(said),
        np.array([one.kind == "apart" for one in said], bool),
        [space in world.anonymous for space in (EMAIL, PHONE, DEVICE)],
        world.at_most,
        np.array([place[leaf] for leaf in world.shared if leaf in place], np.int64),
    )


def as_of(world: World, leaves: list[Leaf], changes: Changes, at: int) -> Customers:
    """Read a map as an as-of join does."""
    found = {leaf: leaf for leaf in world.leaves()}
    for leaf, customer, since, until in zip(*changes[:4], strict=True):
        if since <= at < until:
            found[leaves[leaf]] = leaves[customer]
    return found


def latest(world: World, up_to: int | None = None) -> Customers:
    leaves, made = components(world, up_to)
    found = {leaf: leaf for leaf in world.leaves()}
    return found | {leaves[leaf]: leaves[c] for leaf, c in enumerate(made.latest().tolist())}


@st.composite
def worlds(draw: Any) -> World:
    facts: list[Fact] = []
    for offset in range(1, draw(st.integers(1, 24)) + 1):
        pairs = st.lists(st.sampled_from(LEAVES), min_size=2, max_size=2, unique=True)
        if facts:
            again = st.sampled_from(facts).map(lambda fact: [fact.one, fact.other])
            pairs = pairs | again
        one, other = draw(pairs)
        # Few times, so that they collide; some known late, some known before they happen.
        time = draw(st.integers(0, 12))
        known = time + draw(st.sampled_from([0, 0, 0, 1, 5, -1]))
        kind = draw(st.sampled_from(["seen", "seen", "seen", "seen", "apart", "told"]))
        facts.append(Fact(one, other, time, known, offset, kind))
    return World(
        facts,
        at_most=draw(st.sampled_from([1, 2, 10])),
        anonymous=draw(st.sampled_from([set(), {DEVICE}])),
        shared=draw(st.sampled_from([set(), set(), {(DEVICE, "p")}, {(EMAIL, "q")}])),
    )


@settings(max_examples=150)
@given(worlds())
def test_equals_the_rule_as_of_every_time(world: World) -> None:
    leaves, made = components(world)
    changes = made.changes()
    for at in range(-2, 21):
        assert as_of(world, leaves, changes, at) == world.customers(at), at
    assert latest(world) == world.customers(FOREVER)


@settings(max_examples=50)
@given(worlds())
def test_nobody_knows_a_merge_before_it_happened_and_was_known(world: World) -> None:
    _, made = components(world)
    changes = made.changes()
    assert (changes.since > changes.time).all()
    assert (changes.since >= changes.known).all()
    told = {(fact.time, fact.known, fact.offset) for fact in world.facts}
    assert set(zip(*(column.tolist() for column in changes[4:]), strict=True)) <= told
    assert (changes.until > changes.since).all()


@settings(max_examples=40)
@given(worlds(), st.data())
def test_what_came_later_in_the_log_is_unknown_below_its_offset(world: World, data: Any) -> None:
    offset = data.draw(st.integers(0, len(world.facts)))
    below = World(world.facts[:offset], world.at_most, world.anonymous, world.shared)
    nobody = {leaf: leaf for leaf in world.leaves()}
    assert latest(world, offset) == nobody | below.customers(FOREVER)


@settings(max_examples=50)
@given(worlds(), st.data())
def test_what_is_told_apart_is_as_it_was_before_the_merge(world: World, data: Any) -> None:
    world.at_most = 100  # a link that makes something shared is not undone by telling two apart
    before = latest(world)
    end = len(world.facts) + 1
    free = [leaf for leaf in LEAVES if leaf not in world.shared]
    one, other = data.draw(st.lists(st.sampled_from(free), min_size=2, max_size=2, unique=True))
    merge = Fact(one, other, 40, 40, end)
    merged = latest(World([*world.facts, merge], 100, world.anonymous, world.shared))
    apart = Fact(one, other, 50, 50, end + 1, "apart")
    whole = World([*world.facts, merge, apart], 100, world.anonymous, world.shared)
    if before.get(one, one) == before.get(other, other):
        return  # they were one before: apart is then not as it was
    nobody = {leaf: leaf for leaf in whole.leaves()}
    assert latest(whole) == nobody | before
    leaves, made = components(whole)
    changes = made.changes()
    assert as_of(whole, leaves, changes, 51) == nobody | before
    assert as_of(whole, leaves, changes, 50) == nobody | merged


def test_the_key_is_the_surest_namespace_then_the_first_known() -> None:
    p, q, d = (EMAIL, "p"), (EMAIL, "q"), (DEVICE, "d")
    world = World([Fact(q, d, 1, 1, 1), Fact(p, d, 2, 2, 2)])
    leaves, made = components(world)
    changes = made.changes()
    assert as_of(world, leaves, changes, 1) == {p: p, q: q, d: d}  # at its time it is the future
    assert as_of(world, leaves, changes, 2) == {p: p, q: q, d: q}
    assert as_of(world, leaves, changes, 3) == {p: q, q: q, d: q}


def test_one_link_too_many_undoes_those_before() -> None:
    people = [(EMAIL, name) for name in "pqr"]
    device = (DEVICE, "d")
    world = World([Fact(one, device, n, n, n) for n, one in enumerate(people)], at_most=2)
    leaves, made = components(world)
    changes = made.changes()
    assert len(set(as_of(world, leaves, changes, 2).values())) == 2
    assert len(set(as_of(world, leaves, changes, 3).values())) == 4
    held = {leaves[leaf]: int(link) for leaf, link in enumerate(made.one_too_many) if link >= 0}
    assert held == {device: 2}


def test_many_anonymous_others_make_nobody_shared() -> None:
    person = (EMAIL, "p")
    cookies = [(DEVICE, str(n)) for n in range(50)]
    facts = [Fact(person, cookie, n, n, n) for n, cookie in enumerate(cookies)]
    assert set(latest(World(facts, anonymous={DEVICE})).values()) == {person}
    assert len(set(latest(World(facts)).values())) == 51


def test_told_together_again() -> None:
    p, q = (EMAIL, "p"), (EMAIL, "q")
    facts = [Fact(p, q, 1, 1, 1), Fact(p, q, 2, 2, 2, "apart"), Fact(p, q, 3, 3, 3)]
    assert latest(World(facts)) == {p: p, q: q}
    assert latest(World([*facts, Fact(p, q, 4, 4, 4, "told")])) == {p: p, q: p}


@pytest.mark.slow
def test_a_million_links_and_a_long_chain_take_seconds() -> None:
    rng = np.random.default_rng(1)
    size = 1_000_000
    a = np.arange(size)
    b = np.concatenate([np.arange(2000) + 1, size + rng.integers(0, size, size - 2000)])
    pairs = np.unique(np.stack([a, b]), axis=1)
    a, b = pairs
    when = rng.integers(0, 10**9, len(a))
    none = np.array([], np.int64)
    made = Components(
        np.repeat(np.array([EMAIL, DEVICE]), size),
        Facts(a, b, when, when, when, np.arange(len(a))),
        Facts(*(none for _ in range(6))),
        np.array([], bool),
        [False] * 3,
        10,
        none,
    )
    changes = made.changes()
    last = np.arange(2 * size)
    last[changes.leaf] = changes.customer
    assert (last == made.latest()).all()
