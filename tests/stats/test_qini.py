from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.qini import _WEIGHTS, qini, qini_value
from liftwerk.stats.ranks import rank_within


def by_the_book(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> float:
    """The definition, row by row."""
    order = np.argsort(-score, kind="stable")
    rows = list(zip(treated[order], outcome[order], strict=True))
    n_t = n_c = 0
    y_t = y_c = total = q = 0.0
    for is_treated, y in rows:
        if is_treated:
            n_t, y_t = n_t + 1, y_t + y
        else:
            n_c, y_c = n_c + 1, y_c + y
        q = y_t - y_c * n_t / max(n_c, 1)
        total += q
    return (total / len(rows) - q / 2) / n_t


def trial(seed: int, n: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    treated = rng.random(n) < 0.5
    outcome = (rng.random(n) < 0.1 + 0.05 * treated * (score > 0)).astype(float)
    return score, treated, outcome


@given(seed=st.integers(0, 10_000), n=st.integers(2, 60))
def test_value_is_the_definitions(seed, n):
    score, treated, outcome = trial(seed, n)
    treated[0] = True
    assert qini_value(score, treated, outcome) == pytest.approx(
        by_the_book(score, treated, outcome), abs=1e-12
    )


def test_equal_scores_have_no_order():
    score, treated, outcome = trial(1)
    coarse = np.round(score)
    shuffled = np.random.default_rng(0).permutation(score.shape[0])
    value = qini_value(coarse, treated, outcome)
    again = qini_value(coarse[shuffled], treated[shuffled], outcome[shuffled])
    assert value == pytest.approx(again, abs=1e-12)


def test_scores_that_say_nothing_are_worth_nothing():
    _, treated, outcome = trial(2)
    found = qini(np.zeros(3000), treated, outcome, np.random.default_rng(0))
    assert abs(found.value.value) < 1e-4
    np.testing.assert_allclose(found.gain, found.share * found.gain[-1], atol=1e-12)


def test_equal_scores_are_worth_the_mean_over_their_orders():
    score, treated, outcome = trial(3, n=400)
    coarse = np.round(score)
    rng = np.random.default_rng(0)
    values = []
    for _ in range(2000):
        jitter = coarse + 1e-3 * rng.random(400)
        values.append(by_the_book(jitter, treated, outcome))
    error = np.std(values) / np.sqrt(2000)
    assert abs(qini_value(coarse, treated, outcome) - np.mean(values)) < 4 * error + 2e-4


def test_curve_ends_at_the_average_effect():
    score, treated, outcome = trial(4)
    found = qini(score, treated, outcome, np.random.default_rng(0))
    n_t, n_c = treated.sum(), (~treated).sum()
    effect = outcome[treated].sum() - outcome[~treated].sum() * n_t / n_c
    assert found.gain[0] == 0.0
    assert found.gain[-1] == pytest.approx(effect / n_t)
    assert found.share.shape == found.low.shape == found.high.shape == (101,)
    assert (found.low <= found.high).all()
    inside = (found.low <= found.gain) & (found.gain <= found.high)
    assert inside.mean() > 0.95


def test_the_bootstrap_is_that_of_drawing_customers_again():
    score, treated, outcome = trial(5, n=2000)
    found = qini(score, treated, outcome, np.random.default_rng(0), draws=2000)
    rng = np.random.default_rng(1)
    values = []
    for _ in range(1000):
        rows = rng.integers(0, 2000, 2000)
        values.append(qini_value(score[rows], treated[rows], outcome[rows]))
    assert isinstance(found.value, Estimate)
    assert found.value.standard_error == pytest.approx(np.std(values), rel=0.08)
    assert found.value.low == pytest.approx(np.quantile(values, 0.025), abs=0.15 * np.std(values))
    assert found.value.high == pytest.approx(np.quantile(values, 0.975), abs=0.15 * np.std(values))


@pytest.mark.slow
def test_interval_covers_the_true_value():
    """Visits of one trial in five, 250 trials: 95% within chance (6,000 trials: 94.4%)."""
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(250):
        x = rng.random(1500)
        treated = rng.random(1500) < 0.5
        outcome = (rng.random(1500) < 0.2 + 0.2 * treated * x).astype(float)
        answer = qini(x, treated, outcome, rng, draws=400).value
        # Sorted by x the true curve is 0.2 (s - s^2 / 2), so its area over half the end is 1/60.
        covered += answer.low <= 1 / 60 <= answer.high
    assert covered / 250 > 0.91


def test_weights_are_poissons():
    assert _WEIGHTS.mean() == pytest.approx(1.0, abs=1e-4)
    assert _WEIGHTS.var() == pytest.approx(1.0, abs=1e-3)


def test_the_seed_decides():
    score, treated, outcome = trial(7)
    one = qini(score, treated, outcome, np.random.default_rng(3), draws=200)
    two = qini(score, treated, outcome, np.random.default_rng(3), draws=200)
    np.testing.assert_array_equal(one.low, two.low)
    assert one.value == two.value


def test_unknown_where_an_arm_is_empty_or_the_tail_is_unseen():
    score, treated, outcome = trial(8)
    rng = np.random.default_rng(0)
    assert isinstance(qini(score, np.ones(3000, dtype=bool), outcome, rng).value, Unknown)
    outcome = np.zeros(3000)
    outcome[5] = 900.0
    assert isinstance(qini(score, treated, outcome, rng, draws=50).value, Unknown)


def test_ranks_take_the_folds_levels_off():
    """Left-out means run against their folds: sorting by them alone looks worse than chance."""
    rng = np.random.default_rng(0)
    folds = rng.integers(0, 5, 4000)
    treated = rng.random(4000) < 0.5
    naive, ranked = [], []
    for _ in range(60):
        outcome = rng.normal(size=4000)
        effect = np.array(
            [
                outcome[(folds == f) & treated].mean() - outcome[(folds == f) & ~treated].mean()
                for f in range(5)
            ]
        )
        left_out = (effect.sum() - effect) / 4
        naive.append(qini_value(left_out[folds], treated, outcome))
        ranked.append(qini_value(rank_within(left_out[folds], folds), treated, outcome))
    assert np.mean(naive) < -4 * np.std(naive) / np.sqrt(60)
    assert np.abs(ranked).max() < 1e-3
