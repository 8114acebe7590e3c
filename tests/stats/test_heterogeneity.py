from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.stats.estimate import Unknown
from liftwerk.stats.heterogeneity import Question, heterogeneity, holm
from tests.stats.effects import QUESTIONS, ask_many, share


def question(seed: int, slope: float, n: int = 4000, negligible: float = 0.3) -> Question:
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(n, 4))
    noise = rng.normal(size=n) * (1.0 + design[:, 1] ** 2)
    return Question(slope * design[:, 0] + noise, design, noise, negligible)


def test_answers():
    rng = np.random.default_rng(0)
    found = heterogeneity([question(1, 0.6), question(2, 0.0), question(3, 0.2)], rng)
    assert found[0].answer == "yes"
    assert found[1].answer == "no"
    assert found[0].spread == pytest.approx(0.6, abs=0.15)


def test_unknown_says_what_it_would_take():
    answer = heterogeneity([question(7, 0.0, n=120)], np.random.default_rng(0))[0].answer
    assert isinstance(answer, Unknown)
    assert "0.3" in answer.reason
    assert "customers" in answer.needs


def test_a_small_but_certain_spread_is_none():
    """What the project calls negligible is none, however sure it is that it is there."""
    found = heterogeneity([question(5, 0.1, n=200_000)], np.random.default_rng(0))[0]
    assert found.constant_p < 0.01
    assert found.answer == "no"


def test_no_cannot_be_said_of_an_unseen_tail():
    rng = np.random.default_rng(0)
    design = rng.normal(size=(2000, 2))
    outcome = np.zeros(2000)
    outcome[:3] = [1.0, 1.0, 500.0]
    asked = Question(0.001 * rng.normal(size=2000), design, outcome, 10.0)
    answer = heterogeneity([asked], rng)[0].answer
    assert isinstance(answer, Unknown)
    assert "spread" in answer.reason


@pytest.mark.parametrize("broken", ["scores", "design"])
def test_nothing_varies(broken):
    asked = question(1, 0.5)
    if broken == "scores":
        asked = Question(np.zeros(4000), asked.design, asked.outcome, 0.3)
    else:
        asked = Question(asked.scores, np.ones((4000, 3)), asked.outcome, 0.3)
    assert isinstance(heterogeneity([asked], np.random.default_rng(0))[0].answer, Unknown)


def test_collinear_features_change_nothing():
    asked = question(6, 0.25)
    first = asked.design[:, :1]
    doubled = np.hstack([asked.design, asked.design @ np.ones((4, 1)), first, np.ones((4000, 1))])
    again = Question(asked.scores, doubled, asked.outcome, asked.negligible)
    one = heterogeneity([asked], np.random.default_rng(0))[0]
    two = heterogeneity([again], np.random.default_rng(0))[0]
    assert one.spread == pytest.approx(two.spread, rel=1e-6)
    assert one.spread_p == pytest.approx(two.spread_p, abs=0.01)
    assert one.constant_p == pytest.approx(two.constant_p, abs=0.03)


@pytest.mark.slow
def test_size_and_equivalence_hold_with_unequal_spreads():
    """Noise that grows with a feature: 5% each, within chance, in 400 draws."""
    rng = np.random.default_rng(9)
    constant = [heterogeneity([question(s, 0.0, n=1500)], rng)[0] for s in range(400)]
    assert sum(found.constant_p < 0.05 for found in constant) / 400 < 0.08
    edge = [heterogeneity([question(s, 0.3, n=1500)], rng)[0] for s in range(400)]
    assert sum(found.spread_p < 0.05 for found in edge) / 400 < 0.08


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_own_words(p):
    rejected = set()
    left = dict(enumerate(p))
    while left:
        smallest = min(left, key=lambda place: (left[place], place))
        if left[smallest] > 0.05 / len(left):
            break
        rejected.add(smallest)
        del left[smallest]
    assert set(np.flatnonzero(holm(np.array(p)))) == rejected


@pytest.mark.slow
def test_constant_effects_are_rarely_called_different():
    """At most 6.5% of 1,000 seeds in the soak; here 100, with room for chance."""
    answers = ask_many("constant_effect", range(100))
    for asked in QUESTIONS:
        assert share(answers, asked, "yes") <= 0.10, asked


@pytest.mark.slow
def test_planted_differences_are_found():
    """At least 90% of 1,000 seeds in the soak; here 100, with room for chance."""
    answers = ask_many("planted", range(100))
    assert share(answers, "womens_email/visit", "yes") >= 0.88
    assert share(answers, "womens_email/visit", "no") <= 0.05
