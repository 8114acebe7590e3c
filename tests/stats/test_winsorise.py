from __future__ import annotations

import numpy as np

from liftwerk.stats.winsorise import cap


def test_the_quantile_is_that_of_all_arms():
    rng = np.random.default_rng(0)
    arms = [rng.lognormal(0.0, 2.0, n) for n in (7000, 3000)]
    limit = cap(arms, 0.99)
    above = sum(int((arm > limit).sum()) for arm in arms)
    assert above == 100


def test_nothing_is_lowered_at_one():
    assert cap([[1.0, 5.0], [2.0]], 1.0) == 5.0
