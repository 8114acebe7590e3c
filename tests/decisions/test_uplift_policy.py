from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.decisions.kinds.uplift import Rule, choose_probabilities, expected_gains

RULE = Rule((0.0, 0.05, 0.05), 0.5, 0.05)


def test_gain_is_margin_on_the_effect_less_the_cost():
    gains = expected_gains(np.array([[1.0, -1.0]]), RULE)
    np.testing.assert_allclose(gains, [[0.0, 0.45, -0.55]])


def test_an_effect_that_only_pays_its_cost_is_not_worth_an_e_mail():
    probabilities = choose_probabilities(np.array([[0.1, 0.1]]), RULE)
    np.testing.assert_allclose(probabilities, [[0.9, 0.05, 0.05]])


def test_of_equal_actions_the_first_wins():
    probabilities = choose_probabilities(np.array([[2.0, 2.0]]), RULE)
    np.testing.assert_allclose(probabilities, [[0.05, 0.9, 0.05]])


@given(
    effects=st.lists(st.tuples(*[st.floats(-100, 100)] * 2), min_size=1, max_size=20),
    exploration=st.floats(0.0, 1 / 3),
    seed=st.integers(0, 100),
)
def test_probabilities_sum_to_one_keep_the_floor_and_mask(effects, exploration, seed):
    eligible = np.random.default_rng(seed).random((len(effects), 3)) < 0.6
    eligible[:, 0] = True
    rule = Rule((0.0, 0.05, 0.05), 0.5, exploration)
    found = choose_probabilities(np.array(effects), rule, eligible)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found[~eligible] == 0.0).all()
    assert (found[eligible] >= exploration - 1e-12).all()
    gains = np.where(eligible, expected_gains(np.array(effects), rule), -np.inf)
    rows = np.arange(len(effects))
    assert (gains[rows, found.argmax(axis=1)] == gains.max(axis=1)).all() or exploration > 0.33


def test_refusals():
    with pytest.raises(ValueError, match="cannot each keep"):
        Rule((0.0, 1.0), exploration=0.6)
    with pytest.raises(ValueError, match="2 effects"):
        expected_gains(np.zeros((1, 2)), Rule((0.0, 1.0)))
    with pytest.raises(ValueError, match="not a finite"):
        choose_probabilities(np.array([[np.nan, 0.0]]), RULE)
    with pytest.raises(ValueError, match="no eligible"):
        choose_probabilities(np.zeros((1, 2)), RULE, np.zeros((1, 3), dtype=bool))
