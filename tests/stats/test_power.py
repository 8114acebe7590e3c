"""Power: published figures, another program's, and experiments that are simulated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from liftwerk.stats.difference import METHODS
from liftwerk.stats.difference.methods.anytime import Anytime
from liftwerk.stats.difference.methods.fixed import Fixed
from liftwerk.stats.power import (
    LOOKS,
    Baseline,
    Looks,
    Split,
    detectable,
    needed_drift,
    power,
    seen_by,
    units_needed,
)

UNIT = Baseline("mean", 0.0, 1.0)
ONCE = Looks("fixed")
REFERENCE = json.loads((Path(__file__).parent / "data" / "power_reference.json").read_text())


@pytest.mark.parametrize(("effect", "arm"), [(0.2, 394), (0.5, 64), (0.8, 26)])
def test_cohens_table_of_sample_sizes(effect: float, arm: int) -> None:
    # Cohen (1988), Statistical Power Analysis, table 2.4.1: 80% at 5%, two sides.
    assert math.ceil(units_needed(UNIT, effect, 0.8, looks=ONCE) / 2) == arm


def test_the_example_of_rs_power_t_test() -> None:
    # power.t.test(power = .90, delta = 1): n = 22.02110 in each group.
    assert units_needed(UNIT, 1.0, 0.9, looks=ONCE) / 2 == pytest.approx(22.02110, abs=2e-5)


def test_the_example_of_chow_shao_and_wang() -> None:
    # Sample Size Calculations in Clinical Research (2003), 4.2.1: 0.65 against 0.85, 80% at 5%,
    # variances not pooled: 70 in each arm, with the normal distribution in place of t.
    arm = units_needed(Baseline.proportion(0.65), 0.2, 0.8, looks=ONCE) / 2
    drift = needed_drift(0.8, ONCE)
    assert math.ceil((drift / 0.2) ** 2 * (0.65 * 0.35 + 0.85 * 0.15)) == 70
    assert math.ceil(arm) == 71


@pytest.mark.parametrize("row", REFERENCE["rows"], ids=str)
def test_another_program_needs_as_many_units(row: dict[str, float]) -> None:
    looks = Looks("fixed", 1.0 - row["alpha"])
    units = units_needed(UNIT, row["effect"], row["power"], looks=looks)
    assert units / 2 == pytest.approx(row["arm"], rel=1e-6)


BASELINES = [
    UNIT,
    Baseline("ratio", 40.0, 900.0, 0.3),
    Baseline.proportion(0.02),
    Baseline.proportion(0.4, 0.5),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("baseline", BASELINES, ids=str)
@pytest.mark.parametrize("split", [Split(0.5, 0.5), Split(0.6, 0.1), Split(0.05, 0.95)], ids=str)
def test_power_units_and_effect_say_the_same(method: str, baseline: Baseline, split: Split) -> None:
    looks = Looks(method, 0.95)  # type: ignore[arg-type]
    for sign in (1, -1):
        effect = detectable(baseline, 60_000, 0.8, split, looks, sign)
        assert effect * sign > 0
        assert power(baseline, effect, 60_000, split, looks) == pytest.approx(0.8, abs=1e-6)
        assert units_needed(baseline, effect, 0.8, split, looks) == pytest.approx(60_000, rel=1e-6)


def test_covariates_save_units_and_equal_arms_need_fewest() -> None:
    half = Baseline("mean", 0.0, 1.0, 0.5)
    assert units_needed(half, 0.1) == pytest.approx(units_needed(UNIT, 0.1) / 2)
    needed = [units_needed(UNIT, 0.1, split=Split(part, 1 - part)) for part in (0.1, 0.3, 0.5)]
    assert needed == sorted(needed, reverse=True)


def test_what_cannot_be_reached_is_infinite() -> None:
    assert units_needed(UNIT, 0.0) == math.inf
    assert units_needed(UNIT, 1e-9) == math.inf
    assert detectable(UNIT, 1) == math.inf
    assert detectable(Baseline.proportion(0.02), 40, sign=-1) == -math.inf
    assert detectable(Baseline.proportion(0.99), 200) == math.inf


# ------------------------------------------------------------------------ simulated experiments

RUNS = 4000
"""Experiments; with 80% power the share that sees its effect has a standard error of 0.6%."""
BOUND = 3.3 * math.sqrt(0.8 * 0.2 / RUNS)
DAYS = 20


def shares(rng: np.random.Generator, share: float, a_day: int) -> np.ndarray:
    """Count who converted by the end of each day."""
    return rng.binomial(a_day, share, (RUNS, DAYS)).cumsum(axis=1)


@pytest.mark.parametrize("arms", [(500, 500), (900, 100)])
def test_simulated_proportions_are_seen_as_often_as_promised(arms: tuple[int, int]) -> None:
    rng = np.random.default_rng(20080318)
    baseline = Baseline.proportion(0.05)
    days = np.arange(1, DAYS + 1)
    a_day = sum(arms)
    split = Split(arms[0] / a_day, arms[1] / a_day)
    for looks in (ONCE, Looks().at_days(days * float(a_day))):
        effect = detectable(baseline, a_day * DAYS, 0.8, split, looks)
        control, treated = (
            shares(rng, share, many) / (many * days)
            for share, many in ((0.05, arms[0]), (0.05 + effect, arms[1]))
        )
        parts = [
            one * (1 - one) / (many * days)
            for one, many in zip((control, treated), arms, strict=True)
        ]
        z = np.abs(treated - control) / np.sqrt(sum(parts))
        if looks.method == "fixed":
            _, up = Fixed(a_day * DAYS - 2).reach(0.95)
            seen = z[:, -1] > up
        else:
            reach = Anytime(days * a_day, a_day * DAYS).critical(0.95)
            seen = (z > reach).any(axis=1)
        assert abs(seen.mean() - 0.8) < BOUND


def test_simulated_sequences_are_crossed_as_often_at_every_look() -> None:
    rng = np.random.default_rng(20080319)
    # Unequal looks: half of the units come on the first day.
    at = np.concatenate([[0.5], 0.5 + 0.5 * np.arange(1, 11) / 10])
    looks = Looks("anytime", 0.9, tuple(at))
    steps = rng.normal(size=(50_000, len(at))) * np.sqrt(np.diff(at, prepend=0.0))
    reach = Anytime(at, 1.0, tuned_level=0.9).critical(0.9)
    for drift in (0.0, 2.0, needed_drift(0.9, looks)):
        paths = (steps.cumsum(axis=1) + drift * at) / np.sqrt(at)
        seen = np.maximum.accumulate(np.abs(paths) > reach, axis=1).mean(axis=0)
        promised = seen_by(drift, looks)
        bound = 4.0 * np.sqrt(promised * (1 - promised) / 50_000)
        assert (np.abs(seen - promised) < bound).all()


def test_days_are_looked_at_and_not_too_many() -> None:
    looks = Looks().at_days(np.array([0.0, 10.0, 20.0, 40.0]))
    assert looks.at == (0.25, 0.5, 1.0)
    many = Looks().at_days(np.arange(1.0, 400.0))
    assert len(many.at) <= LOOKS
    assert many.at[-1] == 1.0
    days = [Looks().at_days(np.arange(1.0, last)) for last in (30, 60, 400)]
    drifts = [needed_drift(0.8, one) for one in days]
    assert max(drifts) - min(drifts) < 0.05
