from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import lambertw

from liftwerk.stats.difference import KINDS, METHODS, contrast, difference, together
from liftwerk.stats.difference.arms import Arms
from liftwerk.stats.difference.bulk import differences
from liftwerk.stats.difference.contrast import Contrast
from liftwerk.stats.difference.intervals import of_ratio
from liftwerk.stats.difference.methods.fixed import Fixed
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.moments import Moments

REFERENCE = json.loads((Path(__file__).parent / "data" / "gbstats_reference.json").read_text())
TUNED = 10_000


def arms(
    columns: int, n: int = 4000, lift: float = 0.0, seed: int = 0, times: int = 1
) -> list[Moments]:
    """Two arms with as many columns, of positive and correlated values, one `times` as large."""
    rng = np.random.default_rng(seed)
    made = []
    for arm, size in enumerate((n, times * n)):
        taste = rng.gamma(4.0, 0.25, size)
        values = taste * rng.gamma(4.0, 0.25 * (1.0 + lift * arm), (columns, size))
        made.append(Moments.of(values))
    return made


def read(case: dict) -> Contrast:
    kind = {"cuped": "mean"}.get(case["kind"], case["kind"])
    pair = [
        Moments.from_sums(*(case[arm][key] for key in ("n", "sums", "cross", "cubes")))
        for arm in ("control", "treated")
    ]
    tuned = case["tuned_for"]
    if case["method"] == "anytime":
        # Theirs is the paper's approximation of the best rho (eq. 161), ours is the best one.
        theirs = (-2 * np.log(0.05) + np.log(-2 * np.log(0.05) + 1)) / tuned
        tuned = (-float(lambertw(-(0.05**2) / np.e, -1).real) - 1.0) / theirs
    found = contrast(kind, *pair, method=case["method"], tuned_for=tuned)
    assert isinstance(found, Contrast)
    return found


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["kind"])
def test_answers_are_those_of_gbstats(case):
    found = read(case)
    ours, theirs = found.read(), case["answer"]
    assert isinstance(ours.absolute, Estimate)
    width = theirs["high"] - theirs["low"]
    assert ours.absolute.value == pytest.approx(theirs["value"], abs=1e-9 * width)
    # What gbstats leaves out: the degree of freedom that a covariate takes, and the skewness that
    # a small arm against a large one leaves in the difference.
    error, law = found.standard_error, found.law
    sizes = [case[arm]["n"] for arm in ("control", "treated")]
    if case["kind"] == "cuped":
        error /= np.sqrt((sum(sizes) - 2) / (sum(sizes) - 3))
    if isinstance(law, Fixed):
        assert (law.skewness == 0.0) == (case["kind"] == "ratio" or sizes[0] == sizes[1])
        law = Fixed(law.freedom + (case["kind"] == "cuped"))
    down, up = law.reach(0.95)
    assert ours.absolute.value - down * error == pytest.approx(theirs["low"], abs=1e-9 * width)
    assert ours.absolute.value + up * error == pytest.approx(theirs["high"], abs=1e-9 * width)
    p_value = float(law.p_value(ours.absolute.value / error))
    assert p_value == pytest.approx(theirs["p_value"], rel=1e-9, abs=1e-12)
    if sizes[0] == sizes[1] and case["kind"] != "cuped":
        assert ours.absolute.low == pytest.approx(theirs["low"], abs=1e-9 * width)
        assert ours.p_value == pytest.approx(theirs["p_value"], rel=1e-9, abs=1e-12)


def test_the_reference_has_every_kind_and_method():
    found = {(case["kind"], case["method"]) for case in REFERENCE["cases"]}
    assert found == {(kind, method) for kind in [*KINDS, "cuped"] for method in METHODS}
    assert REFERENCE["gbstats"] == "0.8.0"


@given(
    st.sampled_from(["mean", "ratio"]),
    st.sampled_from(list(METHODS)),
    st.integers(0, 2),
    st.floats(-0.1, 0.1),
    st.floats(0.5, 0.999),
    st.integers(0, 50),
    st.integers(1, 9),
)
@settings(max_examples=80)
def test_interval_and_p_value_say_the_same(kind, method, covariates, lift, level, seed, times):
    made = arms(KINDS[kind].columns + covariates, 500, lift, seed, times)
    found = contrast(kind, *made, method=method, tuned_for=TUNED, level=level)
    assert isinstance(found, Contrast)
    answer = found.read(level)
    significant = found.p_value <= 1.0 - level
    for estimate in (answer.absolute, answer.relative):
        assert isinstance(estimate, Estimate)
        assert (estimate.low > 0.0 or estimate.high < 0.0) == significant
        assert estimate.low <= estimate.value <= estimate.high
    assert answer.relative.value == pytest.approx(found.treated / found.control - 1.0)


@given(st.floats(-0.4, 0.4), st.floats(0.6, 0.999), st.floats(5.0, 1e5))
def test_the_p_value_at_either_end_is_alpha(skewness, level, freedom):
    law = Fixed(freedom, skewness)
    down, up = law.reach(level)
    assert float(law.p_value(down)) == pytest.approx(1.0 - level)
    assert float(law.p_value(-up)) == pytest.approx(1.0 - level)


@given(st.floats(-0.9, 0.9), st.floats(0.5, 2.0), st.floats(1.0, 3.0))
def test_ends_of_a_ratio_solve_fiellers_equation(correlation, treated, reach):
    values = np.array([1.0, treated])
    both = correlation * 0.1 * 0.2
    covariance = np.array([[0.01, both], [both, 0.04]])
    _, low, high, _ = of_ratio(values, covariance, (np.array(reach), np.array(1.1 * reach)))
    for end, side in ((low, reach), (high, -1.1 * reach)):
        ratio = end + 1.0
        spread = 0.04 - 2.0 * ratio * both + ratio**2 * 0.01
        assert (treated - ratio) / np.sqrt(spread) == pytest.approx(side)


@given(st.integers(0, 200), st.floats(0.1, 0.9), st.integers(1, 4))
@settings(max_examples=50)
def test_covariates_never_widen(seed, part, covariates):
    """Also with unequal arms, of unequal spread, and where the covariates are pure noise."""
    rng = np.random.default_rng(seed)
    sizes = (round(600 * part), round(600 * (1 - part)))
    useful = rng.random() < 0.5
    pair = []
    for arm, n in enumerate(sizes):
        noise = rng.normal(size=(covariates, n))
        outcome = 10.0 + (1.0 + 2.0 * arm) * rng.normal(size=n) + useful * (1 + arm) * noise.sum(0)
        pair.append(Moments.of([outcome, *noise]))
    errors = []
    for columns in ([0], list(range(covariates + 1))):
        found = contrast("mean", *(arm.take(columns) for arm in pair), method="fixed")
        assert isinstance(found, Contrast)
        errors.append(found.standard_error)
    freedom = sum(sizes) - 2
    assert errors[1] <= errors[0] * np.sqrt(freedom / (freedom - covariates)) * (1 + 1e-12)


def test_one_covariate_gives_lins_estimate():
    """Ordinary least squares with the centred covariate and its interaction with the arm."""
    rng = np.random.default_rng(3)
    sizes = (3000, 700)
    rows = []
    for arm, n in enumerate(sizes):
        x = rng.normal(2.0, 1.0, n)
        y = 5.0 + 0.2 * arm + (1.0 + arm) * x + rng.normal(size=n)
        rows.append((np.full(n, arm), x, y))
    arm, x, y = (np.concatenate(each) for each in zip(*rows, strict=True))
    centred = x - x.mean()
    design = np.column_stack([np.ones(len(y)), arm, centred, arm * centred])
    lin = np.linalg.lstsq(design, y, rcond=None)[0][1]
    found = difference("mean", *(Moments.of([b, a]) for _, a, b in rows), method="fixed")
    assert isinstance(found.absolute, Estimate)
    # Equal but for the sampling error of the covariate's variance in the two arms.
    assert found.absolute.value == pytest.approx(lin, abs=0.1 * found.absolute.standard_error)


def test_covariates_that_repeat_others_change_nothing():
    one, other = arms(2)
    twice = [Moments.of(np.zeros((4, 1)))] * 2
    for place, arm in enumerate((one, other)):
        columns = np.array([[1, 0], [0, 1], [0, 2], [0, 0]], dtype=float)
        twice[place] = Moments(
            arm.n, columns @ arm.means, columns @ arm.products @ columns.T, np.zeros(4)
        )
    plain = difference("mean", one, other, method="fixed")
    repeated = difference("mean", *twice, method="fixed")
    assert repeated.absolute.low == pytest.approx(plain.absolute.low, rel=1e-9)


def test_strata_take_out_what_chance_put_into_the_arms():
    """Two groups with means 0 and 10, unequally drawn into the arms: only the groups differ."""
    rng = np.random.default_rng(5)
    groups = [
        [Moments.of([base + rng.normal(size=n)]) for base, n in ((1.0, a), (11.0, b))]
        for a, b in ((600, 400), (500, 500))
    ]
    plain = difference("mean", *(one + other for one, other in groups), method="fixed")
    within = difference("mean", *groups, method="fixed")
    assert isinstance(plain.absolute, Estimate)
    assert isinstance(within.absolute, Estimate)
    assert plain.absolute.value > 0.8
    assert abs(within.absolute.value) < 0.15
    assert within.absolute.standard_error < 0.3 * plain.absolute.standard_error
    assert "within 2 strata" in within.absolute.method


def test_one_stratum_is_no_stratum_and_small_ones_are_joined():
    control, treated = arms(1)
    plain = difference("mean", control, treated, method="fixed")
    assert difference("mean", [control], [treated], method="fixed") == plain
    rng = np.random.default_rng(1)
    few = [Moments.of([rng.normal(size=3)]) for _ in range(2)]
    joined = difference("mean", [control, few[0]], [treated, few[1]], method="fixed")
    assert joined == difference("mean", control + few[0], treated + few[1], method="fixed")


def test_clusters_are_what_varies():
    """Units of a cluster are alike: counted one by one they would look ten times as sure."""
    rng = np.random.default_rng(2)
    by_cluster, by_unit = [], []
    for _ in (0, 1):
        sizes = rng.integers(80, 120, 30)
        means = rng.normal(5.0, 1.0, 30)
        totals = [
            rng.normal(mean, 0.3, size).sum() for mean, size in zip(means, sizes, strict=True)
        ]
        by_cluster.append(Moments.of([totals, sizes]))
        by_unit.append(Moments.of([np.repeat(means, sizes)]))
    robust = difference("mean", *by_cluster, method="fixed", clustered=True)
    naive = difference("mean", *by_unit, method="fixed")
    assert robust.absolute.standard_error > 8.0 * naive.absolute.standard_error
    assert robust.absolute.standard_error == pytest.approx(np.sqrt(2 / 30), rel=0.4)
    sequence = difference("mean", *by_cluster, tuned_for=6000, clustered=True)
    assert sequence.absolute.low < robust.absolute.low


def test_the_leverage_of_large_clusters_is_that_of_cr2():
    """Bell and McCaffrey's variance needs every cluster; moments give it on average."""
    rng = np.random.default_rng(9)
    ours = theirs = plain = 0.0
    for _ in range(300):
        cr2 = old = 0.0
        made = []
        for _ in (0, 1):
            sizes = rng.gamma(4.0, 25.0, 20)
            totals = sizes * rng.normal(1.0, 0.2, 20)
            residual = (totals - totals.sum() / sizes.sum() * sizes) / sizes.mean()
            cr2 += (residual**2 / (1.0 - sizes / sizes.sum())).sum() / 20**2
            old += residual.var(ddof=1) / 20
            made.append(Moments.of([totals, sizes]))
        found = contrast("mean", *made, method="fixed", clustered=True)
        assert isinstance(found, Contrast)
        ours, theirs, plain = ours + found.standard_error**2, theirs + cr2, plain + old
    assert ours == pytest.approx(theirs, rel=0.005)
    assert ours > 1.015 * plain


def test_strata_that_differ_in_their_effect_add_to_the_error():
    """The shares of strata are a sample's: the effect of the next sample is another one."""
    rng = np.random.default_rng(10)
    values, errors = [], []
    for _ in range(500):
        stratum, treated = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
        outcome = 10.0 + 6.0 * stratum * treated + rng.normal(size=400)
        groups = [
            [Moments.of([outcome[(treated == arm) & (stratum == s)]]) for s in (0, 1)]
            for arm in (0, 1)
        ]
        found = contrast("mean", *groups, method="fixed")
        assert isinstance(found, Contrast)
        values.append(found.treated - found.control)
        errors.append(found.standard_error)
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.1)
    assert np.mean(values) == pytest.approx(3.0, abs=0.05)


def test_a_family_is_read_at_the_levels_of_holm():
    made = []
    for lift, seed in ((0.0, 1), (0.08, 2), (0.2, 3), (0.04, 4)):
        made.append(contrast("mean", *arms(1, lift=lift, seed=seed), method="fixed"))
    made.append(contrast("mean", *arms(1, n=10), method="fixed"))
    answers = together(made, method="fixed")
    assert isinstance(answers[-1].absolute, Unknown)
    assert answers[-1].p_value is None
    for found, answer in zip(made[:-1], answers[:-1], strict=True):
        assert isinstance(found, Contrast)
        assert answer.p_value >= found.p_value
        assert (answer.absolute.low > 0.0) == (answer.p_value <= 0.05)
        assert answer.absolute.level >= 0.95
    assert answers[2].absolute.level == pytest.approx(0.99)  # five claims, the surest of them


@pytest.mark.parametrize(
    ("kind", "control", "treated", "reason"),
    [
        ("proportion", (4000, 3), (4000, 5), "carry nearly all the spread"),
        ("proportion", (40, 20), (4000, 2000), "an arm has 40 units"),
        ("proportion", (4000, 0), (4000, 0), "nothing varied"),
        ("proportion", (4000, 4000), (4000, 4000), "nothing varied"),
        ("proportion", (100, 250), (100, 20), "a proportion is not between 0 and 1"),
    ],
)
def test_what_cannot_be_said_is_unknown(kind, control, treated, reason):
    pair = [Moments.from_sums(n, [k], [[k]], [k]) for n, k in (control, treated)]
    answer = difference(kind, *pair, method="fixed")
    for found in (answer.absolute, answer.relative):
        assert isinstance(found, Unknown)
        assert reason in found.reason
    assert answer.p_value is None


def test_a_tail_that_was_not_seen_is_refused_and_one_not_told_is_assumed():
    rng = np.random.default_rng(0)
    pair = [Moments.of([rng.lognormal(0.0, 2.5, 2000)]) for _ in (0, 1)]
    refused = difference("mean", *pair, method="fixed").absolute
    assert isinstance(refused, Unknown)
    assert "units like these" in refused.needs
    blind = [Moments(arm.n, arm.means, arm.products) for arm in pair]
    assumed = difference("mean", *blind, method="fixed").absolute
    assert isinstance(assumed, Estimate)
    assert any("tail" in each for each in assumed.assumptions)


def test_nothing_is_a_part_of_a_control_that_may_be_zero():
    rng = np.random.default_rng(0)
    pair = [Moments.of([rng.normal(0.01, 1.0, 1000)]) for _ in (0, 1)]
    answer = difference("mean", *pair, method="fixed")
    assert isinstance(answer.absolute, Estimate)
    assert isinstance(answer.relative, Unknown)


def test_what_was_done_is_said():
    control, treated = arms(3)
    note = "spend above 500 counts as 500"
    answer = difference("ratio", control, treated, tuned_for=TUNED, notes=(note,)).absolute
    assert answer.method == (
        "difference of ratios, adjusted by 1 covariate: asymptotic confidence sequence"
    )
    assert answer.assumptions[-1] == note
    assert "the arms cannot have changed the covariates" in answer.assumptions


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize(("kind", "columns"), [("mean", 1), ("mean", 3), ("ratio", 3)])
def test_many_at_once_are_the_same(kind, columns, method):
    pairs = [arms(columns, n, 0.1, seed) for seed, n in enumerate((20, 300, 900, 5000))]
    pairs.append([Moments.of(np.ones((columns, 200)))] * 2)
    many = differences(kind, Arms.of(pairs), method=method, tuned_for=TUNED)
    for place, each in enumerate(pairs):
        one = difference(kind, *each, method=method, tuned_for=TUNED)
        if isinstance(one.absolute, Unknown):
            assert np.isnan(many.absolute[:, place]).all()
            assert np.isnan(many.p_value[place])
            continue
        for part, found in (("absolute", many.absolute), ("relative", many.relative)):
            said = getattr(one, part)
            told = [said.value, said.low, said.high, said.standard_error]
            np.testing.assert_allclose(found[:, place], told, rtol=1e-9)
        assert many.p_value[place] == pytest.approx(one.p_value)
    assert np.isnan(many.p_value).tolist() == [True, False, False, False, True]


def test_many_clusters_and_proportions_at_once_are_the_same():
    rng = np.random.default_rng(4)
    pairs, shops = [], []
    for n, rate in ((200, 0.5), (4000, 0.001), (9000, 0.02), (60, 1.0)):
        pairs.append([Moments.of([(rng.random(n) < rate) * 1.0]) for _ in (0, 1)])
        shops.append([Moments.of(rng.gamma(9.0, 1.0, (2, n // 20))) for _ in (0, 1)])
    for kind, each, clustered in (("proportion", pairs, False), ("mean", shops, True)):
        many = differences(kind, Arms.of(each), tuned_for=TUNED, clustered=clustered)
        for place, both in enumerate(each):
            one = difference(kind, *both, tuned_for=TUNED, clustered=clustered)
            if isinstance(one.absolute, Unknown):
                assert np.isnan(many.p_value[place])
            else:
                assert many.absolute[1, place] == pytest.approx(one.absolute.low, rel=1e-9)
                assert many.p_value[place] == pytest.approx(one.p_value)
        assert np.isnan(many.p_value).any()
        assert np.isfinite(many.p_value).any()


def test_wrong_calls_are_refused():
    control, treated = arms(1)
    with pytest.raises(ValueError, match="none was given"):
        difference("mean", control, treated)
    with pytest.raises(ValueError, match="no kind of metric is called 'median'"):
        difference("median", control, treated, method="fixed")
    with pytest.raises(ValueError, match="2 strata of control go with 1"):
        difference("mean", [control, control], [treated], method="fixed")
