from __future__ import annotations

import numpy as np
import pytest

from liftwerk.stats.interval import interval
from liftwerk.stats.off_policy.scores import Scores
from liftwerk.stats.profit_curve import profit_curve


def trial(seed: int, n: int = 5000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gain = rng.normal(size=n)
    best = rng.integers(1, 3, n)
    scores = rng.exponential(size=(n, 3))
    scores[np.arange(n), best] += gain
    return gain, best, scores


def test_every_point_is_the_value_of_its_policy():
    gain, best, scores = trial(0, n=1000)
    curve = profit_curve(gain, best, scores, scores[:, 0])
    order = np.argsort(-gain)
    for place in (0, 13, 50, 100):
        action = np.zeros(1000, dtype=int)
        top = order[: round(curve.share[place] * 1000)]
        action[top] = best[top]
        row = scores[np.arange(1000), action]
        assert curve.value[place] == pytest.approx(row.mean())
        answer = interval(Scores(row.mean(), row - row.mean()), method="mean")
        assert curve.low[place] == pytest.approx(answer.low, rel=1e-3)
        assert curve.high[place] == pytest.approx(answer.high, rel=1e-3)


def test_treating_those_who_gain_earns_most():
    gain, best, scores = trial(1)
    curve = profit_curve(gain, best, scores, scores[:, 0])
    assert abs(curve.share[curve.value.argmax()] - 0.5) < 0.1
    assert curve.share.shape == (101,)


def test_no_band_where_the_tail_is_unseen():
    gain, best, scores = trial(2)
    reward = np.zeros(5000)
    reward[0] = 1.0
    curve = profit_curve(gain, best, scores, reward)
    assert curve.low is None
    assert curve.high is None
    assert curve.refusal is not None


def test_covers():
    held = []
    for seed in range(300):
        gain, best, scores = trial(seed, n=800)
        curve = profit_curve(gain, best, scores, scores[:, 0])
        # Control is worth 1; the top half by a standard normal gains 0.3989 a customer.
        held.append(curve.low[50] <= 1.0 + 0.39894 <= curve.high[50])
    assert 0.91 < np.mean(held) < 0.985
