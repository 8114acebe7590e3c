"""Looking every day at many metrics and arms finds what is not there as seldom as it may."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from liftwerk.experiments.compare import How, Question, compare, foresee
from liftwerk.experiments.looks import looks
from liftwerk.experiments.units import Units
from liftwerk.stats.estimate import Estimate
from liftwerk.stats.multiplicity import holm

DAYS = 20
TRIALS = 60
QUESTIONS = (
    Question("margin", "primary", "mean", "EUR", True, (0, 2)),
    Question("ordered", "primary", "proportion", "share", True, (1, 2)),
)
HOW = How("anytime", 0.95, 4_000.0, 0.05)


def units(seed: int, n: int = 6_000, effect: float = 0.0) -> Units:
    """Draw three arms whose margins follow a covariate, an order now and then."""
    chance = np.random.default_rng(seed)
    arm = chance.integers(3, size=n)
    before = chance.gamma(2.0, 1.0, n)
    ordered = (chance.random(n) < 0.2).astype(np.float64)
    margin = ordered * (before + chance.exponential(1.0, n)) + effect * (arm == 1)
    day = np.sort(chance.integers(DAYS, size=n)) + 20_000
    nothing = pa.table({"time": pa.nulls(n)})
    return Units(
        arms=("control", "voucher", "reminder"),
        arm=arm,
        day=day,
        exposed=np.ones(n, dtype=np.bool_),
        columns=("margin", "ordered", "before"),
        values=np.stack([margin, ordered, before]),
        stratum=np.zeros(n, dtype=np.int64),
        known=nothing.select([]),
        table=nothing,
        notes=(),
    )


def test_peeking_every_day_finds_nothing_that_is_not_there() -> None:
    false = 0
    for seed in range(TRIALS):
        found = [
            one.absolute
            for look in looks(units(seed), QUESTIONS, HOW)
            for one in look.seen
            if isinstance(one.absolute, Estimate)
        ]
        assert len(found) > 60
        false += any(one.low > 0 or one.high < 0 for one in found)
    # 3 of 60 may; 99.9% of binomial draws at 5% stay below 11.
    assert false < 11


def test_what_is_there_is_found_and_kept() -> None:
    seen = looks(units(0, effect=0.5), QUESTIONS, HOW)
    better = [
        isinstance(one.absolute, Estimate) and one.absolute.low > 0
        for look in seen
        for one in look.seen
        if (one.metric, one.arm) == ("margin", "voucher")
    ]
    assert better[-1]
    assert sum(better) > 5


def test_the_number_of_units_that_would_decide_does_so() -> None:
    """Among so many more units like these the interval leaves 0."""
    one = units(0, n=3_000, effect=0.15)
    arms = one.moments()
    found = foresee(compare(QUESTIONS[:1], arms, HOW), QUESTIONS[:1], arms, HOW)[0]
    assert found.answer == "unclear"
    assert found.more is not None
    times = 1 + found.more / sum(parts[0].n for parts in arms.values())
    for factor, answer in ((0.9, "unclear"), (1.1, "better")):
        many = {
            name: [
                type(part)(
                    round(part.n * times * factor),
                    part.means,
                    part.products * times * factor,
                    part.cubes * times * factor,
                )
                for part in parts
            ]
            for name, parts in arms.items()
        }
        assert compare(QUESTIONS[:1], many, HOW)[0].answer == answer, factor


def test_all_that_judges_is_one_family_and_counter_metrics_another() -> None:
    counter = Question("returns", "counter", "proportion", "share", False, (1,), 0.1)
    found = compare((*QUESTIONS, counter), units(1, effect=0.2).moments(), HOW)
    for role in ("primary", "counter"):
        family = [one for one in found if one.role == role]
        adjusted = holm([one.p_value for one in family if one.p_value is not None])
        assert [one.adjusted for one in family] == adjusted.tolist()
    first = min((one for one in found if one.role == "primary"), key=lambda one: one.p_value or 0)
    assert isinstance(first.absolute, Estimate)
    assert first.absolute.level == 1 - 0.05 / 4
