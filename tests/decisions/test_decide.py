"""Deciding: masks, exact probabilities, guardrails under one transaction, replay."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.clock import FixedClock
from liftwerk.decisions.decide import CHAMPION, HELD_OUT, NO_RELEASE, Ask, decide, draw_actions
from liftwerk.decisions.definition import POLICIES, Guardrails
from liftwerk.decisions.guardrails import period_start
from liftwerk.decisions.kinds.uplift import Rule
from liftwerk.decisions.learned import Learned
from liftwerk.decisions.replay import replay
from liftwerk.definitions import Project, load
from liftwerk.definitions.typed import Budget, Limit
from liftwerk.models.train import TrainedModel, train
from liftwerk.sections import SECTIONS
from liftwerk.store.home import Home
from liftwerk.store.stores import Stores, open_stores

EXAMPLE = Path(__file__).parents[2] / "examples" / "hillstrom"
ACTIONS = ("nothing", "mens_email", "womens_email")
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def train_likes() -> TrainedModel:
    """Train a model on customers whose liking says which e-mail works for them."""
    rng = np.random.default_rng(0)
    likes = rng.uniform(-3, 3, 3000)
    action = rng.integers(0, 3, 3000)
    effect = np.column_stack([np.zeros(3000), likes, -likes])[np.arange(3000), action]
    spend = 5 + effect + rng.normal(size=3000)
    trained = train(
        "likes",
        pa.table({"likes": likes}),
        action,
        np.full((3000, 3), 1 / 3),
        {"spend": spend},
        ACTIONS,
        {"likes": "1"},
        lambda doing: None,
    )
    return trained.model


MODEL = train_likes()


@pytest.fixture(scope="module")
def project() -> Project:
    return load(EXAMPLE, SECTIONS)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(Home.open(tmp_path / "home", create=True)) as opened:
        yield opened


def learned(stage: str = CHAMPION) -> Learned:
    return Learned("release", "state", stage, MODEL, "spend")


def ask(project: Project, n: int, **changes: Any) -> Ask:
    policy = msgspec.structs.replace(
        project.get(POLICIES)["best_email"], guardrails=changes.pop("rails", Guardrails())
    )
    values: dict[str, Any] = {
        "policy_name": "best_email",
        "policy": policy,
        "actions": ACTIONS,
        "costs": (Decimal("0"), Decimal("0.05"), Decimal("0.05")),
        "rule": Rule((0.0, 0.05, 0.05), 0.5, 0.05),
        "reward_version": "r",
        "learned": learned(),
        "customers": [bytes([0, row]) * 8 for row in range(n)],
        "features": pa.table({"likes": np.linspace(-1, 1, n)}),
        "known": np.ones(n, dtype=bool),
        "held_out": np.zeros(n, dtype=bool),
        "consents": [None] * n,
    }
    return Ask(**(values | changes))


def made(question: Ask, project: Project, stores: Stores, at: datetime = NOW) -> list[Any]:
    rng = np.random.default_rng(int(at.timestamp()))
    return decide(question, project, stores, FixedClock(at), rng)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
def test_the_draw_inverts_the_cumulative_sum(weights: list[float], draw: float) -> None:
    total = sum(weights)
    if total == 0:
        weights, total = [1.0], 1.0
    chances = np.array([[weight / total for weight in weights]])
    position = int(draw_actions(chances, np.array([draw]))[0])
    assert chances[0, position] > 0
    cumulative = np.cumsum(chances[0])
    below = 0.0
    if position > 0:
        below = cumulative[position - 1]
    assert below <= draw + 1e-12


def test_draws_follow_the_logged_probabilities(project: Project, stores: Stores) -> None:
    n = 250
    shares = np.zeros(3)
    for at in range(8):
        question = ask(project, n, features=pa.table({"likes": np.full(n, 1.0)}))
        rng = np.random.default_rng(at)
        for one in decide(question, project, stores, FixedClock(NOW), rng):
            assert one.probabilities == pytest.approx([0.05, 0.9, 0.05])
            shares[ACTIONS.index(one.action)] += 1
    expected = np.array([0.05, 0.9, 0.05]) * shares.sum()
    # Chi-square with 2 degrees of freedom; 18.4 is exceeded once in ten thousand.
    assert ((shares - expected) ** 2 / expected).sum() < 18.4


def test_without_a_release_everybody_gets_control_and_is_told_so(
    project: Project, stores: Stores
) -> None:
    for one in made(ask(project, 5, learned=None), project, stores):
        assert (one.action, one.probability, one.note) == ("nothing", 1.0, NO_RELEASE)
        assert one.eligible == ["nothing"]


def test_the_holdout_gets_control_with_probability_one(project: Project, stores: Stores) -> None:
    held_out = np.array([True, False, True])
    answers = made(ask(project, 3, held_out=held_out), project, stores)
    assert [one.arm for one in answers] == ["holdout", None, "holdout"]
    assert answers[0].note == HELD_OUT
    assert answers[0].probabilities == [1.0]


def test_of_whom_nothing_may_be_known_gets_control(project: Project, stores: Stores) -> None:
    answers = made(ask(project, 2, known=np.array([False, True])), project, stores)
    assert answers[0].eligible == ["nothing"]
    assert len(answers[1].eligible) == 3


def test_a_budget_is_spent_to_the_cent_and_never_over(project: Project, stores: Stores) -> None:
    rails = Guardrails(budget=Budget("0.50/week"))
    question = ask(project, 60, rails=rails, features=pa.table({"likes": np.full(60, 2.0)}))
    answers = made(question, project, stores)
    paid = [one for one in answers if one.action != "nothing"]
    assert len(paid) == 10
    start = period_start("week", NOW, project.timezone)
    assert stores.decisions.spent("best_email", start) == 50
    lost = [one for one in answers if "budget" in one.guardrails]
    assert lost
    assert all(one.action == "nothing" for one in lost)
    later = made(question, project, stores, NOW + timedelta(hours=1))
    assert {one.action for one in later} == {"nothing"}
    assert all(one.eligible == ["nothing"] for one in later)


def test_a_frequency_cap_closes_actions_that_cost(project: Project, stores: Stores) -> None:
    rails = Guardrails(frequency=Limit("1/7d"))
    question = ask(project, 1, rails=rails, features=pa.table({"likes": [3.0]}))
    actions = [
        made(question, project, stores, NOW + timedelta(days=day))[0].action for day in range(10)
    ]
    contacts = [day for day, action in enumerate(actions) if action != "nothing"]
    assert all(after - before >= 7 for before, after in itertools.pairwise(contacts))
    assert contacts


def test_a_draft_reserves_nothing_and_is_no_contact(project: Project, stores: Stores) -> None:
    rails = Guardrails(budget=Budget("0.05/week"), frequency=Limit("1/7d"))
    question = ask(
        project, 30, rails=rails, learned=learned("draft"),
        features=pa.table({"likes": np.full(30, 2.0)}),
    )  # fmt: skip
    answers = made(question, project, stores)
    assert sum(one.action != "nothing" for one in answers) > 10
    start = period_start("week", NOW, project.timezone)
    assert stores.decisions.spent("best_email", start) == 0


def test_every_decision_can_be_replayed_and_a_changed_one_is_found(
    project: Project, stores: Stores
) -> None:
    question = ask(project, 40)
    for one in made(question, project, stores):
        record = msgspec.to_builtins(one)
        again = replay(record, ACTIONS, question.rule, question.learned)
        assert again.same
        other = next(action for action in one.eligible if action != one.action)
        assert not replay(
            {**record, "action": other}, ACTIONS, question.rule, question.learned
        ).same


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("hour", "2026-03-04T12:00:00+00:00"),
        ("day", "2026-03-04T06:00:00+00:00"),
        ("week", "2026-03-02T06:00:00+00:00"),
        ("month", "2026-03-01T06:00:00+00:00"),
    ],
)
def test_budget_periods_are_calendar_periods_of_the_project(
    project: Project, period: str, expected: str
) -> None:
    assert period_start(period, NOW, project.timezone).isoformat() == expected
