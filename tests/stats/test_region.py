"""Outside the region in which intervals were shown to cover, every design answers Unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from liftwerk.simulation.experiments import draw_clusters
from liftwerk.simulation.geo_unseen import UnseenWorld
from liftwerk.stats import adaptive
from liftwerk.stats.difference import difference
from liftwerk.stats.difference.arms import Arms
from liftwerk.stats.difference.bulk import differences
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.holdout import holdout
from liftwerk.stats.moments import Moments
from liftwerk.stats.switchback import Periods, effect
from liftwerk.stats.synthetic_control import Panel, measure

BUDGET = 10_000


def units(n: int, against: int | None = None) -> list[Moments]:
    rng = np.random.default_rng(1)
    return [Moments.of([rng.normal(1.0, 0.1, size)]) for size in (n, against or n)]


def orders(n: int, buyers: int) -> list[Moments]:
    """A ratio of which few units have a denominator."""
    rng = np.random.default_rng(2)
    some = np.arange(n) < buyers
    count = some * (1.0 + rng.poisson(1.0, n))
    return [Moments.of([count * rng.gamma(2.0, 10.0, n), count]) for _ in (0, 1)]


def clusters(number: int, uneven: float = 0.5) -> list[Moments]:
    rng = np.random.default_rng(3)
    arms = draw_clusters("light", number, 7, rng, effect=0.0, uneven=uneven)
    return [Moments.of([arm.totals[:, -1], arm.sizes[:, -1]]) for arm in arms]


def held_out(n: int) -> list[tuple[Moments, Moments]]:
    rng = np.random.default_rng(4)
    arms = (rng.normal(1.0, 0.1, size) for size in (n, 4_000))
    first, second = (Moments.of([spent, spent]) for spent in arms)
    return [(first, second)]


def turns(blocks: int, on: int) -> Periods:
    rng = np.random.default_rng(5)
    block = np.repeat(np.arange(blocks), 4)
    one = np.ones(block.size)
    arm = rng.permutation(np.arange(blocks) < on)[block]
    age = np.tile(np.arange(4), blocks)
    return Periods(rng.normal(size=block.size), arm, block, age, one, one[:, None])


def bandit(rows: int, chance: float) -> adaptive.Log:
    """A log whose second arm is drawn with a constant probability."""
    rng = np.random.default_rng(6)
    action = (rng.random(rows) < chance).astype(int)
    action[0] = 1
    own = np.where(action == 1, chance, 1.0 - chance)
    chances = np.tile([1.0 - chance, chance], (rows, 1))
    reward = rng.normal(1.0, 1.0, rows)
    return adaptive.Log(reward, action, own, np.zeros(rows, int), ("a", "b"), chances)


def markets(donors: int, before: int, during: int) -> Panel:
    rng = np.random.default_rng(7)
    trial = UnseenWorld().draw(
        rng, markets=donors + 1, treated=1, before=before, during=during, lift=0.0
    )
    return Panel(trial.outcome[:, trial.treated], trial.outcome[:, ~trial.treated], before)


def compared(
    kind: str, arms: list[Moments], *, clustered: bool = False
) -> list[Estimate | Unknown]:
    found = []
    for method in ("fixed", "anytime"):
        answer = difference(kind, *arms, method=method, tuned_for=BUDGET, clustered=clustered)
        found += [answer.absolute, answer.relative]
        assert (answer.p_value is None) == isinstance(answer.absolute, Unknown)
        # Many at once say the same: not a number where one by one says Unknown.
        at_once = differences(
            kind, Arms.of([arms]), method=method, tuned_for=BUDGET, clustered=clustered
        )
        for part in (at_once.absolute, at_once.relative):
            assert np.isnan(part[1:3]).all() == isinstance(answer.absolute, Unknown)
    return found


def arms_of(log: adaptive.Log) -> list[Estimate | Unknown]:
    a, b = np.eye(2)
    found = [adaptive.value(log, b), adaptive.anytime_value(log, b, planned=BUDGET)]
    for answer in (
        adaptive.difference(log, b, a),
        adaptive.anytime_difference(log, b, a, planned=BUDGET),
    ):
        assert (answer.p_value is None) == isinstance(answer.estimate, Unknown)
        found.append(answer.estimate)
    return found


def turned(periods: Periods) -> list[Estimate | Unknown]:
    return [effect(periods, washout=0, share=0.5, rng=np.random.default_rng(8)).estimate]


INSIDE: dict[str, Callable[[], list[Estimate | Unknown]]] = {
    "units": lambda: compared("mean", units(50)),
    "units, uneven arms": lambda: compared("mean", units(50, 5_000)),
    "a ratio": lambda: compared("ratio", orders(2_000, 400)),
    "clusters": lambda: compared("mean", clusters(20), clustered=True),
    "a holdout": lambda: [holdout(held_out(50), horizon=16)[0].absolute],
    "a bandit": lambda: arms_of(bandit(1_000, 0.3)),
    "a switchback": lambda: turned(turns(16, 8)),
    "a geo lift": lambda: [measure(markets(6, 28, 7)).answer],
}
OUTSIDE: dict[str, tuple[Callable[[], list[Estimate | Unknown]], str]] = {
    "few units": (lambda: compared("mean", units(49)), "an arm has 49 units"),
    "few units in one arm": (lambda: compared("mean", units(49, 5_000)), "an arm has 49 units"),
    "few denominators": (lambda: compared("ratio", orders(2_000, 20)), "carry nearly all"),
    "few clusters": (
        lambda: compared("mean", clusters(19), clustered=True),
        "an arm has 19 clusters",
    ),
    "clusters of very unequal size": (
        lambda: compared("mean", clusters(20, uneven=2.5), clustered=True),
        "much larger than the others",
    ),
    "few held out": (
        lambda: [holdout(held_out(49), horizon=16)[0].absolute],
        "an arm has 49 units",
    ),
    "few rows of a bandit": (lambda: arms_of(bandit(90, 0.5)), "of 90 rows"),
    "tiny probabilities": (lambda: arms_of(bandit(20_000, 0.002)), "of 20000 rows, worth"),
    "few blocks": (lambda: turned(turns(11, 5)), "11 settled blocks"),
    "few blocks of one arm": (lambda: turned(turns(30, 2)), "2 of them with the arm on"),
    "few other markets": (lambda: [measure(markets(4, 60, 7)).answer], "4 markets are too few"),
    "few days before": (lambda: [measure(markets(12, 24, 7)).answer], "24 periods before"),
    "a test longer than a third of its history": (
        lambda: [measure(markets(12, 62, 21)).answer],
        "62 periods before the test are too few for 21",
    ),
}


@pytest.mark.parametrize("design", INSIDE)
def test_inside_the_region_there_is_an_interval(design):
    for answer in INSIDE[design]():
        assert isinstance(answer, Estimate), answer
        assert answer.low < answer.value < answer.high


@pytest.mark.parametrize("design", OUTSIDE)
def test_outside_the_region_the_answer_is_unknown_and_says_why(design):
    make, reason = OUTSIDE[design]
    for answer in make():
        assert isinstance(answer, Unknown), answer
        assert reason in answer.reason
        assert answer.needs
