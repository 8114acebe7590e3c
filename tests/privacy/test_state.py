from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftwerk.privacy.definition import Basis, Purpose
from liftwerk.privacy.definition import Withdrawal as Reach
from liftwerk.privacy.permitted import Grant, Withdrawal, permitted
from liftwerk.privacy.state import ConsentState, Statement, state_of, turns

pytestmark = pytest.mark.slow

START = datetime(2026, 5, 1, tzinfo=UTC)
ADA, PHONE = b"ada", b"phone"
CUSTOMER = frozenset({ADA, PHONE})


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def carried(time: int, *granted: str, dated: bool = True) -> Statement:
    return Statement(day(time), day(time), time, frozenset(granted), whole=True, dated=dated)


def withdrew(time: int, *purposes: str, leaf: bytes = ADA) -> Statement:
    leaves = frozenset({leaf})
    return Statement(day(time), day(time), time, frozenset(), frozenset(purposes), leaves=leaves)


def agreed(time: int, *purposes: str, leaf: bytes = ADA) -> Statement:
    leaves = frozenset({leaf})
    return Statement(day(time), day(time), time, frozenset(purposes), leaves=leaves)


CONSENT = Purpose("consent")
RETROACTIVE = Purpose("consent", "retroactive")
INTEREST = Purpose("legitimate_interest")


@pytest.mark.parametrize(
    ("purpose", "said", "expected"),
    [
        (CONSENT, [], ("never asked", None, False)),
        (CONSENT, [carried(1, "ads")], ("granted", 1, True)),
        (CONSENT, [carried(1, "ads"), carried(2, "ads")], ("granted", 1, True)),
        (CONSENT, [carried(1)], ("refused", 1, False)),
        (CONSENT, [carried(1), carried(2, "ads")], ("granted", 2, True)),
        (CONSENT, [carried(1, "ads"), carried(2)], ("withdrawn", 2, False)),
        (CONSENT, [carried(1, "ads"), withdrew(2, "ads")], ("withdrawn", 2, False)),
        (CONSENT, [carried(1, "ads"), withdrew(2, "news")], ("granted", 1, True)),
        (CONSENT, [withdrew(2, "ads"), carried(3, "ads")], ("granted", 3, True)),
        # At one instant the withdrawal is heard last.
        (
            CONSENT,
            [withdrew(2, "ads"), carried(2, "ads"), agreed(2, "ads")],
            ("withdrawn", 2, False),
        ),
        # A consent of unknown age undoes no withdrawal; a refusal of unknown age counts.
        (CONSENT, [withdrew(2, "ads"), carried(3, "ads", dated=False)], ("withdrawn", 2, False)),
        (CONSENT, [carried(2, "ads"), carried(3, dated=False)], ("withdrawn", 3, False)),
        (CONSENT, [carried(2), carried(3, "ads", dated=False)], ("granted", 3, True)),
        (
            CONSENT,
            [withdrew(1, "ads"), agreed(2, "ads"), carried(3), carried(4, "ads", dated=False)],
            ("granted", 4, True),
        ),
        (CONSENT, [withdrew(1, "ads"), agreed(2, "ads", leaf=PHONE)], ("granted", 2, True)),
        (INTEREST, [], ("never asked", None, True)),
        (INTEREST, [carried(1)], ("never asked", None, True)),
        (INTEREST, [carried(1, "ads"), carried(2)], ("granted", 1, True)),
        (INTEREST, [withdrew(1, "ads"), carried(2, "ads")], ("withdrawn", 1, False)),
        (INTEREST, [withdrew(1, "ads"), agreed(2, "ads")], ("granted", 2, True)),
        (INTEREST, [withdrew(1, "ads"), agreed(2, "ads", leaf=PHONE)], ("withdrawn", 1, False)),
        (Purpose("legal_obligation"), [withdrew(1, "ads")], ("withdrawn", 1, True)),
    ],
)  # fmt: skip
def test_what_holds(purpose: Purpose, said: list[Statement], expected: Any) -> None:
    word, since, is_permitted = expected
    when = None
    if since is not None:
        when = day(since)
    for order in (said, said[::-1]):
        found = state_of(order, "ads", purpose)
        assert found == ConsentState("ads", purpose.basis, word, when, is_permitted)


def test_what_is_said_for_later_counts_later() -> None:
    said = [carried(1, "ads"), withdrew(5, "ads"), agreed(7, "ads")]
    assert state_of(said, "ads", CONSENT, day(4)).state == "granted"
    assert state_of(said, "ads", CONSENT, day(5)).state == "withdrawn"
    assert state_of(said, "ads", CONSENT, day(7)).state == "granted"
    # What is withdrawn retroactively is withdrawn as soon as it is known.
    assert state_of(said, "ads", RETROACTIVE, day(4)).state == "withdrawn"
    assert state_of(said, "ads", RETROACTIVE, day(7)).state == "granted"


def test_every_change_is_in_the_history_and_no_repetition() -> None:
    said = [
        carried(1, "ads"),
        carried(2, "ads"),
        withdrew(3, "ads"),
        withdrew(4, "ads"),
        carried(5),
    ]
    found = [(turn.word, turn.statement.offset) for turn in turns(said, "ads", CONSENT)]
    assert found == [("granted", 1), ("withdrawn", 3), ("withdrawn", 4)]


# --------------------------------------------------------------------- the state and the rule agree

NAMES = ["ads", "news"]
DAYS = st.integers(0, 6)
SOME = st.lists(st.sampled_from(NAMES), max_size=2)
LEAF = st.sampled_from(sorted(CUSTOMER))
STATEMENTS = st.lists(
    st.one_of(
        st.builds(lambda t, p, d: carried(t, *p, dated=d), DAYS, SOME, st.booleans()),
        st.builds(lambda t, p, leaf: withdrew(t, *p, leaf=leaf), DAYS, SOME, LEAF),
        st.builds(lambda t, p, leaf: agreed(t, *p, leaf=leaf), DAYS, SOME, LEAF),
    ),
    max_size=7,
)
BASES: tuple[Basis, ...] = ("consent", "contract", "legitimate_interest", "legal_obligation")
REACHES: tuple[Reach, ...] = ("future", "retroactive")
PURPOSES = st.builds(Purpose, st.sampled_from(BASES), st.sampled_from(REACHES))


@given(STATEMENTS, PURPOSES, DAYS)
@settings(max_examples=500, deadline=None)
def test_it_is_what_is_permitted_at_that_instant(
    said: list[Statement], purpose: Purpose, at: int
) -> None:
    found = {name: state_of(said, name, purpose, day(at)) for name in NAMES}
    changes = {
        kind: [
            made(leaf, name, one.time, one.known_at, one.offset)
            for one in said
            if not one.whole
            for name in getattr(one, kind)
            for leaf in one.leaves
        ]
        for kind, made in (("withdrawn", Withdrawal), ("granted", Grant))
    }

    def asked(name: str, granted: set[str] | None, agreed_at: datetime | None) -> bool:
        return permitted(
            granted,
            day(at),
            CUSTOMER,
            name=name,
            purpose=purpose,
            withdrawals=changes["withdrawn"],
            grants=changes["granted"],
            agreed=agreed_at,
        )

    holds = {name for name, state in found.items() if state.state == "granted"}
    for name, state in found.items():
        assert asked(name, holds, state.since) is state.permitted
        if purpose.basis == "consent" and state.state == "withdrawn":
            told = [one for one in said if not one.whole and name in one.granted | one.withdrawn]
            newest = max((one.time for one in told if one.time <= day(at)), default=None)
            if any(one.time == newest and name in one.withdrawn for one in told):
                # Whoever repeats an older consent after a withdrawal is not heard.
                assert asked(name, {name}, None) is False
