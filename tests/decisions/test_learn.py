from __future__ import annotations

import numpy as np
import pytest

from liftwerk.decisions.learn import learn_in_turn
from liftwerk.stats.round_robin import round_robin


def trial(n: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    action = rng.integers(0, 3, n)
    outcome = x[:, 0] * (action == 1) + rng.normal(size=n)
    return x, action, outcome, np.full((n, 3), 1 / 3)


def test_a_fold_is_told_nothing_by_those_it_does_not_learn_from():
    """Turn the outcomes of the others upside down: what the fold hears stays, bit for bit."""
    x, action, outcome, logged = trial()
    before = learn_in_turn(x, action, outcome, logged, np.random.default_rng(1))
    hears = round_robin(5)[2]
    silent = ~hears[before.folds]
    upside_down = np.where(silent, 100.0 - outcome, outcome)
    after = learn_in_turn(x, action, upside_down, logged, np.random.default_rng(1))
    rows = before.folds == 2
    np.testing.assert_array_equal(before.effects[rows], after.effects[rows])
    np.testing.assert_array_equal(before.means[rows], after.means[rows])
    assert (before.effects[~rows] != after.effects[~rows]).any()


def test_it_learns():
    x, action, outcome, logged = trial()
    turns = learn_in_turn(x, action, outcome, logged, np.random.default_rng(1))
    assert np.corrcoef(turns.effects[:, 0], x[:, 0])[0, 1] > 0.9
    assert turns.means.shape == (3000, 3)
    assert len(turns.models) == 5


def test_folds_that_learn_from_each_other_are_refused():
    x, action, outcome, logged = trial(300)
    everybody = ~np.eye(3, dtype=bool)
    with pytest.raises(ValueError, match="learn from each other"):
        learn_in_turn(x, action, outcome, logged, np.random.default_rng(0), everybody)
