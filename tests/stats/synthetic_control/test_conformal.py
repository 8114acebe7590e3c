from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from liftwerk.simulation.geo_trial import WORLDS
from liftwerk.simulation.geo_unseen import FIRST
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.synthetic_control import Panel, measure
from liftwerk.stats.synthetic_control.augmented import centred, choose_penalty, fit
from liftwerk.stats.synthetic_control.conformal import Scores, infer
from liftwerk.stats.synthetic_control.placebo import unrest
from liftwerk.stats.synthetic_control.simplex import Simplex
from tests.stats.synthetic_control.cells import FEW, TOO_SHORT


def drawn(world, seed, *, markets=20, treated=2, before=60, during=14):
    trial = WORLDS[world].draw(
        np.random.default_rng(seed), markets=markets, treated=treated, before=before, during=during
    )
    panel = Panel(trial.outcome[:, trial.treated], trial.outcome[:, ~trial.treated], before)
    return trial.effect, panel


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(3, 30))
def test_weights_are_the_best_of_the_simplex(seed, columns, rows):
    rng = np.random.default_rng(seed)
    matrix, target = rng.normal(size=(rows, columns)), rng.normal(size=rows)
    found = Simplex(matrix).weights(target)
    assert found.min() >= 0.0
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    # Optimal: no donor's gradient lies below the mixture's (the condition of Karush-Kuhn-Tucker).
    gradient = matrix.T @ (matrix @ found - target)
    assert gradient.min() >= gradient @ found - 1e-8 * max(1.0, np.abs(gradient).max())


def test_weights_do_not_depend_on_the_unit():
    _, panel = drawn("sizes", 3)
    target, donors = panel.history()
    first = Simplex(donors).weights(target)
    second = Simplex(1e9 * donors).weights(1e9 * target)
    np.testing.assert_allclose(first, second, atol=1e-7)


def test_augmentation_is_the_ridge_of_the_paper():
    _, panel = drawn("sizes", 1)
    penalty = 500.0
    found = fit(panel, penalty)
    target, donors = panel.history()
    target, donors = target - target.mean(), donors - donors.mean(axis=0)
    start = Simplex(donors).weights(target)
    columns = centred(donors)

    # Ben-Michael et al. (2021), section 4: near the plain weights, at a price for imbalance.
    def cost(weights):
        rest = target - donors @ start - columns @ (weights - start)
        return (rest**2).sum() + penalty * panel.before * ((weights - start) ** 2).sum()

    best = minimize(cost, start, method="BFGS", options={"gtol": 1e-3}).x
    assert cost(found.weights) <= cost(best) * (1 + 1e-9)
    assert found.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("penalty", [np.inf, 2_000.0, 50.0])
def test_scores_are_those_of_fits_that_left_the_block_out(penalty):
    _, panel = drawn("autocorrelated", 2, markets=12)
    effect = 7.0
    target = panel.mean.copy()
    target[panel.before :] -= effect
    demeaned = panel.donors - panel.donors.mean(axis=0)
    used = np.flatnonzero(Simplex(demeaned).weights(target - target.mean()) > 1e-9)
    found = Scores(panel, penalty).at(effect)
    for start in (0, 17, panel.before, panel.periods - 3):
        inside = np.zeros(panel.periods, dtype=bool)
        inside[(start + np.arange(panel.during)) % panel.periods] = True
        kept = ~inside
        rest = target - panel.donors[:, used[0]]
        shape = panel.donors[:, used[1:]] - panel.donors[:, used[:1]]
        columns = np.column_stack([np.ones(panel.periods), shape])
        rest = rest - columns @ np.linalg.lstsq(columns[kept], rest[kept], rcond=None)[0]
        if np.isfinite(penalty):
            donors = centred(demeaned)
            donors = donors - donors[kept].mean(axis=0)
            products = donors[kept].T @ donors[kept]
            products += penalty * kept.sum() * np.eye(donors.shape[1])
            rest = rest - donors @ np.linalg.solve(products, donors[kept].T @ rest[kept])
        assert found[start] == pytest.approx(abs(rest[inside].mean()), rel=1e-5, abs=1e-5)


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.sampled_from(sorted(WORLDS)), st.sampled_from([1.0, 1.4]))
def test_interval_and_p_value_never_contradict_each_other(seed, world, inflation):
    _, panel = drawn(world, seed, markets=12, before=40, during=7)
    penalty = choose_penalty(panel)
    effect = fit(panel, penalty).effect(panel.before)
    first = infer(panel, penalty, effect, inflation=inflation)
    # The same data with other effects in it: 0 is put on either side of either end.
    for end in (first.low, first.high):
        for nudge in (-0.1, 0.1):
            moved = end + nudge * (first.high - first.low)
            shifted = Panel(panel.treated.copy(), panel.donors, panel.before)
            shifted.treated[panel.before :] -= moved
            left = effect - moved
            found = infer(shifted, penalty, left, inflation=inflation)
            assert found.low <= left <= found.high
            inside = found.low <= 0.0 <= found.high
            assert inside == (found.p_value > 0.05)


def test_no_effect_is_asked_for_also_behind_effects_that_are_rejected():
    """A seed of the soak: p = 0.48 stood beside a 90% interval from -589 to -231."""
    trial = FIRST["promotions"].draw(np.random.default_rng([0, 55]), **vars(FEW), lift=0.0)
    panel = Panel(trial.outcome[:, trial.treated], trial.outcome[:, ~trial.treated], trial.before)
    penalty = choose_penalty(panel)
    effect = fit(panel, penalty).effect(panel.before)
    found = infer(panel, penalty, effect, inflation=1.6, level=0.9)
    assert found.p_value == pytest.approx(20 / 42)
    assert found.low < 0.0 < found.high


def test_an_interval_that_ends_at_no_effect_holds_it():
    """A seed of the soak: p = 0.12 stood beside a 90% interval from 0.00000000000001 on."""
    trial = FIRST["late"].draw(np.random.default_rng([0, 24]), **vars(TOO_SHORT), lift=0.1)
    panel = Panel(trial.outcome[:, trial.treated], trial.outcome[:, ~trial.treated], trial.before)
    penalty = choose_penalty(panel)
    effect = fit(panel, penalty).effect(panel.before)
    found = infer(panel, penalty, effect, inflation=unrest(panel), level=0.9)
    assert found.p_value == pytest.approx(5 / 42)
    assert found.low == 0.0


@pytest.mark.parametrize("level", [0.95, 0.9, 0.8])
def test_a_p_value_equal_to_what_is_rejected_is_outside(level):
    """Of 60 blocks 3, 6 or 12 are exactly 5%, 10% or 20%, which floats are not."""
    _, panel = drawn("plain", 6, markets=12, before=40, during=20)
    penalty = choose_penalty(panel)
    effect = fit(panel, penalty).effect(panel.before)
    scores = Scores(panel, penalty)
    share = round(1.0 - level, 9)
    tried = np.linspace(-20.0, 20.0, 2001) * 10.0
    equal = next(one for one in tried if scores.p_value(effect + one) == pytest.approx(share))
    shifted = Panel(panel.treated.copy(), panel.donors, panel.before)
    shifted.treated[panel.before :] -= effect + equal
    found = infer(shifted, penalty, -equal, level=level)
    assert (found.low <= 0.0 <= found.high) == (found.p_value > share)


def test_the_interval_moves_with_the_effect():
    _, panel = drawn("plain", 4)
    first = measure(panel).answer
    more = Panel(panel.treated.copy(), panel.donors, panel.before)
    more.treated[panel.before :] += 100.0
    second = measure(more).answer
    assert isinstance(first, Estimate)
    assert isinstance(second, Estimate)
    assert second.value - first.value == pytest.approx(100.0)
    assert second.low - first.low == pytest.approx(100.0, abs=0.02 * (first.high - first.low))


@pytest.mark.parametrize("world", ["plain", "trends"])
def test_intervals_cover(world):
    """A small part of the map that `soak/geo.py` makes."""
    trials = 30
    held = answered = 0
    for seed in range(trials):
        truth, panel = drawn(world, 1_000 + seed, markets=15, before=42)
        answer = measure(panel).answer
        if isinstance(answer, Estimate):
            answered += 1
            held += answer.low <= truth <= answer.high
    assert answered >= 0.9 * trials
    # Less than this happens once in 5,000 if 95% hold: binom.ppf(0.0002, 30, 0.95) = 23.
    assert held >= answered - 7


def test_drift_is_seen():
    calm = [unrest(drawn("plain", seed, before=90)[1]) for seed in range(4)]
    wild = [unrest(drawn("trends", seed, before=90)[1]) for seed in range(4)]
    assert np.mean(calm) < 1.2 < 1.4 < np.mean(wild)


def test_drift_widens_interval_and_p_value_alike():
    _, panel = drawn("trends", 2, before=90)
    found = measure(panel)
    assert found.unrest > 1.25
    effect, penalty = found.fit.effect(panel.before), found.fit.penalty
    narrow = infer(panel, penalty, effect)
    width = found.answer.high - found.answer.low
    assert width == pytest.approx(found.unrest * (narrow.high - narrow.low), rel=0.02)
    assert found.p_value >= narrow.p_value


def test_answers_are_unknown_where_nothing_honest_can_be_said():
    _, panel = drawn("plain", 5)
    few = measure(Panel(panel.treated, panel.donors[:, :4], panel.before))
    assert isinstance(few.answer, Unknown)
    assert few.p_value is None
    short = measure(Panel(panel.treated[40:], panel.donors[40:], 20))
    assert "20 periods before" in short.answer.reason
    # Noise that remembers for weeks needs a history of three tests.
    long = measure(Panel(panel.treated[19:], panel.donors[19:], 41))
    assert long.answer.reason == "41 periods before the test are too few for 14 of it"
    assert long.answer.needs == "at least 42"
    rng = np.random.default_rng(0)
    strangers = measure(Panel(rng.normal(size=(74, 1)), 50 * rng.normal(size=(74, 6)), 60))
    assert "tell nothing" in strangers.answer.reason
