"""The uplift models: equal to a naive twin, blind to what they must not see, often right."""

from __future__ import annotations

import json
from dataclasses import astuple

import numpy as np
import pyarrow as pa
import pytest

from liftwerk.errors import InputError, Refused
from liftwerk.models.kinds.uplift.cross_fit import cross_fit
from liftwerk.models.kinds.uplift.learners import LEARNERS, Sample
from liftwerk.models.kinds.uplift.learners.boosted import Boosted
from liftwerk.models.kinds.uplift.learners.linear import Linear
from liftwerk.models.kinds.uplift.model import UpliftModel, fit_uplift
from liftwerk.models.kinds.uplift.trial import Trial
from tests.models import twin
from tests.models.trials import Drawn, draw


def _folds(n: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(9).permutation(n) % count


def _arrays(trial: Drawn) -> tuple[pa.Table, np.ndarray, np.ndarray, np.ndarray]:
    return trial.table, trial.action, trial.outcome, trial.logged


def test_means_and_scores_equal_the_naive_twin() -> None:
    trial = draw(1200, seed=1)
    folds = _folds(1200)
    fit = cross_fit(*_arrays(trial), folds)
    for held_out in range(5):
        ask = np.flatnonzero(folds == held_out)
        train = [np.flatnonzero(folds == f) for f in range(5) if f != held_out]
        expected = twin.means(trial.design, trial.action, trial.outcome, 3, train, ask)
        np.testing.assert_allclose(fit.means[ask], expected, atol=1e-9)
        scores = twin.scores(expected, trial.action[ask], trial.outcome[ask], trial.logged[ask])
        np.testing.assert_allclose(fit.scores[ask], scores, atol=1e-9)


def test_a_sample_is_scored_group_by_group_as_the_twin_does_it() -> None:
    trial = draw(900, seed=2)
    parts = _folds(900)
    groups = ((0,), (2,), (3,))
    whole = Trial(*_arrays(trial), parts)
    sample = Sample.of(whole, groups)
    assert set(parts[sample.rows]) == {0, 2, 3}
    for group in groups:
        ask = np.flatnonzero(parts == group[0])
        train = [np.flatnonzero(parts == other[0]) for other in groups if other != group]
        means = twin.means(trial.design, trial.action, trial.outcome, 3, train, ask)
        expected = twin.scores(means, trial.action[ask], trial.outcome[ask], trial.logged[ask])
        np.testing.assert_allclose(sample.scores[np.isin(sample.rows, ask)], expected, atol=1e-9)


def test_rows_that_look_alike_may_be_one_weighted_row() -> None:
    rng = np.random.default_rng(4)
    n = 4000
    features = pa.table({"a": rng.integers(0, 5, n), "b": rng.choice(["x", "y"], n)})
    action = rng.integers(0, 2, n)
    outcome = (features["a"].to_numpy() == 3) * action * 2.0 + rng.normal(size=n)
    trial = Trial(features, action, outcome, np.full((n, 2), 0.5), rng.integers(0, 4, n))
    sample = Sample.of(trial, ((0,), (1,), (2,), (3,)))
    one_by_one = features.append_column("row", pa.array(np.arange(n) % 2 + 1e-9 * np.arange(n)))
    wide = Trial(one_by_one, action, outcome, np.full((n, 2), 0.5), trial.parts)
    spread = Sample(wide, sample.groups, sample.rows, sample.scores)
    cells = Boosted.fit(sample).effects(trial.design)
    rows = Boosted.fit(spread).effects(wide.design)
    # The idle third column may be chosen now and then; the shape is the same.
    assert np.corrcoef(cells[:, 0], rows[:, 0])[0, 1] > 0.95


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_outcomes_of_a_fold_change_nothing_in_the_fold(count: int) -> None:
    trial = draw(1500, seed=3)
    folds = _folds(1500, count)
    before = cross_fit(*_arrays(trial), folds)
    inside = folds == 1
    changed = np.where(inside, trial.outcome * 7.0 - 40.0, trial.outcome)
    after = cross_fit(*_arrays(trial.with_outcome(changed)), folds)
    assert (after.effects[inside] == before.effects[inside]).all()
    assert (after.means[inside] == before.means[inside]).all()
    assert (after.weights[1] == before.weights[1]).all()
    assert not (after.effects[~inside] == before.effects[~inside]).all()


def test_features_of_a_fold_change_nothing_for_others_in_the_fold() -> None:
    trial = draw(1500, seed=4)
    folds = _folds(1500)
    before = cross_fit(*_arrays(trial), folds)
    changed = np.flatnonzero(folds == 2)[:150]
    spend = trial.table["spend"].to_numpy().copy()
    spend[changed] = 1e5
    table = trial.table.set_column(1, "spend", pa.array(spend))
    after = cross_fit(table, trial.action, trial.outcome, trial.logged, folds)
    kept = np.setdiff1d(np.flatnonzero(folds == 2), changed)
    np.testing.assert_allclose(after.effects[kept], before.effects[kept], atol=1e-8)


def test_twice_the_same_bits() -> None:
    trial = draw(1200, seed=6)
    first, second = fit_uplift(*_arrays(trial), 5), fit_uplift(*_arrays(trial), 5)
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())


def test_a_planted_effect_is_recovered() -> None:
    trial = draw(12000, seed=7)
    model = fit_uplift(*_arrays(trial))
    error = np.square(model.effects(trial.table) - trial.effects).mean(axis=0)
    assert (error < 0.15 * trial.effects.var(axis=0)).all()


def test_the_trees_find_what_no_line_can() -> None:
    trial = draw(12000, seed=8, steps=2.0, slope=0.0)
    fit = cross_fit(*_arrays(trial), _folds(12000))
    place = [kind.name for kind in LEARNERS].index("boosted")
    assert (fit.weights[:, 1, place] > 0.6).all()
    error = np.square(fit.effects - trial.effects).mean(axis=0)
    assert error[1] < 0.4 * trial.effects[:, 1].var()


def test_where_nothing_differs_effects_shrink_to_the_average() -> None:
    spread = []
    for seed in range(4):
        trial = draw(3000, seed=100 + seed, slope=0.0)
        fit = cross_fit(*_arrays(trial), _folds(3000))
        noise = np.std(fit.scores, axis=0) / np.sqrt(3000)
        spread.append(fit.effects.std(axis=0) / noise)
    # An unpenalised fit of 8 columns would spread by the square root of 8 standard errors.
    assert np.mean(spread) < 1.2


def test_the_model_of_all_rows_is_a_fold_less_by_product() -> None:
    trial = draw(3000, seed=10)
    folds = _folds(3000)
    model = cross_fit(*_arrays(trial), folds).model
    alone = fit_uplift(*_arrays(trial))
    np.testing.assert_allclose(model.constant, alone.constant, atol=0.05)
    correlation = np.corrcoef(model.effects(trial.table)[:, 0], alone.effects(trial.table)[:, 0])
    assert correlation[0, 1] > 0.98


def test_a_round_trip_through_json_changes_no_bit() -> None:
    trial = draw(2000, seed=11)
    model = fit_uplift(*_arrays(trial))
    again = UpliftModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert (again.effects(trial.table) == model.effects(trial.table)).all()
    assert (again.means(trial.table) == model.means(trial.table)).all()
    assert (again.explain(trial.table) == model.explain(trial.table)).all()
    assert json.dumps(again.to_dict()) == json.dumps(model.to_dict())


def test_contributions_add_up_to_the_effect() -> None:
    trial = draw(2000, seed=12)
    model = fit_uplift(*_arrays(trial))
    parts = model.explain(trial.table)
    assert parts.shape == (2000, 2, 5)
    np.testing.assert_allclose(parts.sum(axis=2), model.effects(trial.table), atol=1e-9)
    # `age` carries action 1, `area` action 2.
    size = np.abs(parts[:, :, :-1]).mean(axis=0)
    assert size[0].argmax() == 0
    assert size[1].argmax() == 3


def test_new_customers_may_be_stranger_than_the_old() -> None:
    trial = draw(1500, seed=13)
    model = fit_uplift(*_arrays(trial))
    strange = pa.table(
        {"age": [None, 90.0], "spend": [0.0, None], "loyal": [None, True], "area": ["Moon", None]}
    )
    effects = model.effects(strange)
    assert np.isfinite(effects).all()
    np.testing.assert_allclose(model.explain(strange).sum(axis=2), effects, atol=1e-9)
    assert model.effects(strange.slice(0, 0)).shape == (0, 2)


def test_useless_features_leave_the_average() -> None:
    trial = draw(1500, seed=14)
    table = pa.table({"empty": pa.nulls(1500), "same": np.ones(1500)})
    model = fit_uplift(table, trial.action, trial.outcome, trial.logged)
    effects = model.effects(table)
    np.testing.assert_allclose(effects, np.repeat(model.constant[None], 1500, axis=0), atol=1e-9)
    fit = cross_fit(table, trial.action, trial.outcome, trial.logged, _folds(1500))
    assert np.isfinite(fit.effects).all()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_outcome_that_never_varies_has_no_effect(value: float) -> None:
    trial = draw(1200, seed=15)
    outcome = np.full(1200, value)
    fit = cross_fit(trial.table, trial.action, outcome, trial.logged, _folds(1200))
    np.testing.assert_allclose(fit.effects, 0.0, atol=1e-9)
    np.testing.assert_allclose(fit.means, value, atol=1e-9)


def test_linear_learners_say_the_same_through_rows_and_through_tables() -> None:
    trial = draw(1500, seed=16)
    whole = Trial(*_arrays(trial), _folds(1500))
    learned = Linear.fit(Sample.of(whole, ((0,), (1,), (3,))))
    np.testing.assert_allclose(
        learned.effects_of_rows(whole, np.arange(1500)), learned.effects(trial.design), atol=1e-9
    )


def test_too_few_customers_are_refused_in_one_line() -> None:
    trial = draw(100, seed=17)
    with pytest.raises(Refused, match=r"too few customers to learn an effect: .* 50 or more"):
        fit_uplift(*_arrays(trial))
    with pytest.raises(Refused, match="without fold"):
        cross_fit(*_arrays(trial), _folds(100))


def test_bad_input_is_named() -> None:
    table, action, outcome, logged = _arrays(draw(600, seed=18))
    bad, hole = logged.copy(), outcome.copy()
    bad[3, 1], hole[5] = 0.0, np.nan
    with pytest.raises(InputError, match=r"probability outside \(0, 1\]: row 3"):
        fit_uplift(table, action, outcome, bad)
    with pytest.raises(InputError, match="outcome is not a number: row 5"):
        fit_uplift(table, action, hole, logged)
    with pytest.raises(InputError, match="unknown action: number 3"):
        fit_uplift(table, np.where(action == 2, 3, action), outcome, logged)
    with pytest.raises(InputError, match="lengths differ"):
        fit_uplift(table, action[:-1], outcome, logged)
    with pytest.raises(InputError, match="probabilities are not a matrix"):
        fit_uplift(table, action, outcome, logged[:, :1])
    with pytest.raises(InputError, match="folds are not numbered"):
        cross_fit(table, action, outcome, logged, np.zeros(600, dtype=int))
    with pytest.raises(Refused, match="no rows"):
        fit_uplift(table.slice(0, 0), action[:0], outcome[:0], logged[:0])


def test_two_arms_are_enough_and_models_keep_their_shape() -> None:
    trial = draw(1500, seed=19)
    pair = trial.action < 2
    logged = trial.logged[pair, :2] / trial.logged[pair, :2].sum(axis=1, keepdims=True)
    model = fit_uplift(
        trial.table.filter(pa.array(pair)), trial.action[pair], trial.outcome[pair], logged
    )
    assert model.effects(trial.table).shape == (1500, 1)
    assert model.means(trial.table).shape == (1500, 2)
    assert len(astuple(model)) == 5
