"""Random lives, told late and by several keys: what is read, and what is said to hold."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.events.consent.gaps import consent_gaps
from liftwerk.events.consent.history import HISTORY, consent_history, consent_state
from liftwerk.events.identifiers import leaf_key
from liftwerk.events.read import read
from liftwerk.privacy.permitted import NOW as ALL
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores
from tests.events.consent.tc_strings import saying
from tests.events.shop import NOW, event, granted, put, shop

pytestmark = pytest.mark.slow

SHOP = shop()
START = datetime(2026, 2, 1, tzinfo=UTC)
ADA = {"email": "ada@example.com", "device": "phone"}
LEAVES = [leaf_key(namespace, value) for namespace, value in ADA.items()]


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def said(
    number: int, *, time: float, yes: tuple[str, ...] = (), no: tuple[str, ...] = (), **more: Any
) -> Any:
    properties = {"granted": list(yes), "withdrawn": list(no)}
    moment = day(time).isoformat()
    return event("consent_changed", number, time=moment, properties=properties, **more)


# ---------------------------------------------------------------------------------------- history


@pytest.fixture
def life(stores: Stores, clock: FixedClock) -> Stores:
    """Ada agrees in January, withdraws by phone on the fifth, and agrees to ads on the ninth."""
    dated = {"tcf": saying(purposes=[1, 7, 9]), "at": "2026-02-01T00:00:00Z"}
    put(
        SHOP,
        stores,
        event(number=1, time=day(1).isoformat(), consent=granted("ads", "personalisation")),
        event(number=2, time=day(2).isoformat(), consent=granted("ads", "personalisation")),
        said(3, time=5, no=("ads", "personalisation"), identifiers={"device": "phone"}),
        # Her browser goes on repeating what she agreed to in January.
        event(
            number=4,
            time=day(6).isoformat(),
            identifiers=ADA,
            consent=granted("ads", "personalisation"),
        ),
        event(
            number=5,
            time=day(6).isoformat(),
            identifiers={"email": "bob@example.com"},
            consent=dated,
        ),
        event(number=6, time=day(7).isoformat(), synthetic=True, consent=granted()),
        at=day(8),
    )
    put(SHOP, stores, said(7, time=9, yes=("ads",), identifiers=ADA), at=day(12))
    compact(SHOP, stores, clock)
    return stores


def test_the_history_says_what_when_from_whom_and_known_when(life: Stores) -> None:
    table = consent_history(SHOP, life, LEAVES)
    assert table.schema == HISTORY
    rows = [
        (row["time"], row["purpose"], row["change"], row["event"], row["known_at"])
        for row in table.to_pylist()
    ]
    given_at = datetime(2026, 1, 1, tzinfo=UTC)
    assert rows == [
        (given_at, "ads", "granted", "page_viewed", day(8)),
        (given_at, "personalisation", "granted", "page_viewed", day(8)),
        (day(5), "ads", "withdrawn", "consent_changed", day(8)),
        (day(5), "personalisation", "withdrawn", "consent_changed", day(8)),
        (day(9), "ads", "granted", "consent_changed", day(12)),
    ]
    first = table.to_pylist()[0]
    assert (first["source"], first["consent_source"], first["offset"]) == ("till", "api", 1)


def test_the_past_state_is_what_was_known_then(life: Stores) -> None:
    def word(purpose: str, as_of: AsOf = ALL, leaves: list[bytes] = LEAVES) -> str:
        return consent_state(SHOP, life, leaves, as_of=as_of)[purpose].state

    assert [word("ads", AsOf(day(at))) for at in (7, 8, 11, 12)] == [
        "never asked",
        "withdrawn",
        "withdrawn",
        "granted",
    ]
    assert word("personalisation") == "withdrawn"
    assert word("measurement") == "never asked"
    state = consent_state(SHOP, life, LEAVES)
    assert list(state) == ["measurement", "ads", "personalisation", "accounting"]
    assert [one.permitted for one in state.values()] == [True, True, False, True]
    assert state["ads"].since == day(9)
    # The e-mail alone heard of no withdrawal; a stranger said nothing.
    assert word("personalisation", leaves=LEAVES[:1]) == "granted"
    assert word("ads", leaves=[b"stranger"]) == "never asked"
    assert consent_history(SHOP, life, []).num_rows == 0


def test_there_is_a_state_before_the_first_event(stores: Stores) -> None:
    assert consent_history(SHOP, stores, LEAVES).num_rows == 0
    assert consent_state(SHOP, stores, LEAVES)["ads"].state == "never asked"
    assert consent_gaps(SHOP, stores).num_rows == 0


def test_a_purpose_that_is_no_longer_declared_stays_in_the_history(life: Stores) -> None:
    fewer = shop(purposes={"ads": {"basis": "consent"}})
    changes = consent_history(fewer, life, LEAVES).to_pylist()
    assert [row["change"] for row in changes if row["purpose"] == "personalisation"] == [
        "granted",
        "withdrawn",
    ]
    assert list(consent_state(fewer, life, LEAVES)) == ["ads"]


# ------------------------------------------------------------------------------------------- gaps


def test_gaps_are_counted_by_reason(stores: Stores, clock: FixedClock) -> None:
    put(
        SHOP,
        stores,
        event(number=1, consent=granted("ads")),
        event(number=2),
        event(number=3),
        event(number=4, consent={"tcf": "CMP did not load"}),
        event(number=5, consent={"granted": ["adds"], "source": "api"}),
        event(number=6, consent={"granted": [], "source": "api"}),
        event(number=7, synthetic=True),
        said(8, time=1, no=("ads",)),
    )
    put(SHOP, stores, event(number=9, consent={"gcm": None}), source="web")
    compact(SHOP, stores, clock)
    rows = [tuple(row.values()) for row in consent_gaps(SHOP, stores).to_pylist()]
    assert rows == [
        ("till", "page_viewed", "missing", 2, 6),
        ("till", "page_viewed", "unreadable", 2, 6),
        ("web", "page_viewed", "unreadable", 1, 1),
    ]


# ---------------------------------------------------------------------------------- random lives


class Told(NamedTuple):
    """One event of a life: when, about whom, what it says, when we learnt it."""

    time: int
    who: dict[str, str]
    known: int
    yes: tuple[str, ...] | None  # None: it says nothing of consent
    no: tuple[str, ...] = ()
    at: int | None = None
    is_change: bool = False


PURPOSES = ("ads", "personalisation", "measurement")
WHO = [
    {"email": "a@x.de"},
    {"email": "b@x.de"},
    {"device": "p"},
    {"email": "a@x.de", "device": "p"},
    {"email": "b@x.de", "device": "p"},
    {"email": "a@x.de", "device": "q"},
]
SOME: list[tuple[str, ...]] = [(), ("ads",), ("ads", "personalisation"), ("measurement",), PURPOSES]
CIRCLES = 6
"""Nobody of one circle of people shares a key with one of another."""


def moment(random: Random) -> Told:
    circle = random.randrange(CIRCLES)
    who = {name: f"{circle}{value}" for name, value in random.choice(WHO).items()}
    time = random.randrange(7)
    # Late by up to a week: the log's order is not the order of what happened.
    known = time + random.choice([0, 0, 1, 7])
    yes = random.choice(SOME)
    if random.random() < 0.4:
        no = tuple(name for name in random.choice(SOME) if name not in yes)
        return Told(time, who, known, yes, no, is_change=True)
    at = random.choice([None, random.randrange(7)])
    return Told(time, who, known, random.choice([None, yes, yes, yes]), at=at)


# Drawn by a seed and not piece by piece: every life is a full one.
LIVES = st.randoms(use_true_random=True).map(
    lambda random: [moment(random) for _ in range(random.randint(10, 80))]
)
DAYS = st.integers(0, 6)


def body(number: int, one: Told) -> dict[str, Any]:
    if one.is_change:
        return said(number, time=one.time, yes=one.yes or (), no=one.no, identifiers=one.who)
    more = {}
    if one.yes is not None:
        more["consent"] = {"granted": list(one.yes), "source": "api"}
        if one.at is not None:
            more["consent"]["at"] = day(one.at).isoformat()
    return event(number=number, time=day(one.time).isoformat(), identifiers=one.who, **more)


def may_be_read(one: Told, purpose: str, life: list[Told], known: list[int]) -> bool:
    """Say it slowly: `known` are the places in the life that the reader knows of."""
    if purpose != "measurement" and (one.yes is None or purpose not in one.yes):
        return False
    agreed = one.at
    if agreed is not None and agreed > one.known + 1:
        agreed = None  # from the future
    for place in known:
        withdrawal = life[place]
        if purpose not in withdrawal.no:
            continue
        for namespace, value in withdrawal.who.items():
            if one.who.get(namespace) != value:
                continue
            if purpose != "personalisation" and one.time < withdrawal.time:
                continue  # it reaches the future only
            if purpose != "measurement" and agreed is not None and agreed > withdrawal.time:
                continue
            lifted = [
                life[other].time
                for other in known
                if life[other].is_change
                and purpose in (life[other].yes or ())
                and life[other].who.get(namespace) == value
                and withdrawal.time < life[other].time <= one.time
            ]
            if not lifted:
                return False
    return True


@contextmanager
def home() -> Iterator[Stores]:
    with tempfile.TemporaryDirectory() as folder:
        opened = Home.open(Path(folder) / "home", create=True)
        with open_stores(opened) as stores:
            yield stores


def seen(project: Project, stores: Stores, purpose: str, as_of: AsOf) -> set[int]:
    table = read(project, stores, "page_viewed", purpose, ["id", "consent_granted"], as_of)
    if purpose != "measurement":
        assert table.column("consent_granted").null_count == 0
    return {int.from_bytes(key, "big") for key in table.column("id").to_pylist()}


@pytest.mark.slow
@given(LIVES, DAYS, st.integers(0, 40))
@settings(max_examples=3, deadline=None)
def test_what_is_read_is_what_was_agreed_to(life: list[Told], then: int, offset: int) -> None:
    with home() as stores:
        for number, one in enumerate(life, start=1):
            assert put(SHOP, stores, body(number, one), at=day(one.known)) == []
        compact(SHOP, stores, FixedClock(NOW))
        readers = {
            ALL: range(len(life)),
            AsOf(day(then)): [at for at, one in enumerate(life) if one.known <= then],
            AsOf(offset=offset): range(min(offset, len(life))),
        }
        for as_of, known in readers.items():
            for purpose in PURPOSES:
                expected = {
                    place + 1
                    for place in known
                    if not life[place].is_change
                    and may_be_read(life[place], purpose, life, [*known])
                }
                assert seen(SHOP, stores, purpose, as_of) == expected, (purpose, as_of)


@pytest.mark.slow
@given(LIVES, DAYS)
@settings(max_examples=3, deadline=None)
def test_what_is_said_to_hold_is_what_is_read_of_who_comes_then(
    life: list[Told], then: int
) -> None:
    """Someone comes at that instant, with the consent that is said to hold."""
    as_of = AsOf(day(then))
    with home() as stores:
        for number, one in enumerate(life, start=1):
            put(SHOP, stores, body(number, one), at=day(one.known))
        compact(SHOP, stores, FixedClock(NOW))
        promised: dict[int, tuple[str, bool]] = {}
        for circle in range(CIRCLES):
            who = {"email": f"{circle}a@x.de", "device": f"{circle}p"}
            leaves = [leaf_key(namespace, value) for namespace, value in who.items()]
            state = consent_state(SHOP, stores, leaves, as_of=as_of)
            holds = sorted(name for name in PURPOSES if state[name].state == "granted")
            for purpose in PURPOSES:
                number = 1000 + len(promised)
                promised[number] = (purpose, state[purpose].permitted)
                consent = {"granted": holds, "source": "api"}
                since = state[purpose].since
                if since is not None:
                    consent["at"] = since.isoformat()
                moment = day(then).isoformat()
                visit = event(number=number, time=moment, identifiers=who, consent=consent)
                assert put(SHOP, stores, visit, at=day(then)) == []
        compact(SHOP, stores, FixedClock(NOW))
        for purpose in PURPOSES:
            found = seen(SHOP, stores, purpose, as_of)
            for number, (asked, is_permitted) in promised.items():
                if asked == purpose:
                    assert (number in found) is is_permitted, (purpose, number)
