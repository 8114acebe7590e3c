from __future__ import annotations

import numpy as np
import pytest

from liftwerk.stats.round_robin import assign, round_robin, uncorrelated


@pytest.mark.parametrize("folds", [3, 5, 7, 11])
def test_every_pair_learns_one_way(folds):
    learns = round_robin(folds)
    assert uncorrelated(learns)
    either = learns | learns.T
    assert either.sum() == folds * (folds - 1)
    assert (learns.sum(axis=1) == (folds - 1) // 2).all()
    # Also taught equally often: no row counts more than another in what is learned.
    assert (learns.sum(axis=0) == (folds - 1) // 2).all()


@pytest.mark.parametrize("folds", [0, 1, 2, 4])
def test_even_numbers_cannot_be_arranged(folds):
    with pytest.raises(ValueError, match="odd"):
        round_robin(folds)


def test_forward_only_is_uncorrelated_and_cross_fitting_is_not():
    assert uncorrelated(np.tril(np.ones((6, 6), dtype=bool), -1))
    assert not uncorrelated(~np.eye(6, dtype=bool))
    assert not uncorrelated(np.eye(3, dtype=bool))


def test_folds_are_even_and_seeded():
    folds = assign(1003, 5, np.random.default_rng(0))
    assert np.ptp(np.bincount(folds)) <= 1
    np.testing.assert_array_equal(folds, assign(1003, 5, np.random.default_rng(0)))
    assert (folds != assign(1003, 5, np.random.default_rng(1))).any()


def misses(learns: np.ndarray, trials: int = 20_000) -> float:
    """Share of plain 95% intervals that miss when three actions are all alike.

    Each fold's mean rewards of the actions are drawn directly; its policy takes the action that
    looked best in the folds it learns from.
    """
    rng = np.random.default_rng(2)
    folds = learns.shape[0]
    noise = rng.standard_normal((trials, folds, 3))
    valued = np.zeros(trials)
    for fold in range(folds):
        best = noise[:, learns[fold]].sum(axis=1).argmax(axis=1)
        valued += noise[np.arange(trials), fold, best]
    return float((np.abs(valued) > 1.96 * np.sqrt(folds)).mean())


def test_the_round_robin_covers_where_plain_cross_fitting_does_not():
    assert abs(misses(round_robin(5)) - 0.05) < 0.008
    assert misses(~np.eye(5, dtype=bool)) > 0.10
