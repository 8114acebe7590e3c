"""Plans by a project's own history: held to figures counted by hand, and to simulation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from liftwerk.clock import FixedClock
from liftwerk.errors import ProjectError, Refused
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.planning import PLANNERS
from liftwerk.experiments.planning.history import WINDOW, History, history_of
from liftwerk.experiments.planning.question import Question, power_by
from liftwerk.experiments.planning.simulate import MOST_ROWS, _Pool, simulate
from liftwerk.project.detect import detects, sentence
from liftwerk.project.door import Project
from tests.experiments.past import NOW, START, Past

pytestmark = pytest.mark.slow

EXPERIMENT: dict[str, Any] = {
    "design": "ab",
    "description": "Tea with each order",
    "arms": {"control": {}, "tea": {}},
    "metrics": ["revenue", "basket"],
    "counter_metrics": {"ordered": "30%", "rated": "1%"},
    "covariates": ["spent"],
    "purpose": "measurement",
    "effect": "60%",
}
EXPERIMENTS_TOLD: dict[str, Any] = {
    "tea": EXPERIMENT,
    "plain": {
        **EXPERIMENT,
        "covariates": [],
        "salt": "plain",
        "metrics": ["ordered"],
        "counter_metrics": {},
        "effect": "60%",
    },
    "small": {**EXPERIMENT, "effect": "1%", "salt": "small", "share": "50%"},
    "never": {**EXPERIMENT, "metrics": ["rated"], "counter_metrics": {}, "salt": "never"},
    "less": {**EXPERIMENT, "metrics": ["orders"], "counter_metrics": {}, "salt": "less"},
}
GOAL = {"metric": "revenue", "holdout": "10%", "salt": "shop-1"}

PAST = Past()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("past")
    definitions = PAST.project(root=root, experiments=EXPERIMENTS_TOLD, goal=GOAL)
    with Project(definitions, FixedClock(NOW)) as project:
        PAST.tell(definitions, project.stores)
        yield project


def history(shop: Project, name: str) -> History:
    experiment = shop.definitions.get(EXPERIMENTS)[name]
    told = (shop.definitions, shop.stores, experiment, name)
    return history_of(*told, now=NOW, costs={})


def test_who_would_have_entered_and_what_they_did_is_as_counted_by_hand(shop: Project) -> None:
    found = history(shop, "tea")
    since = (found.since - START).total_seconds()
    assert found.since == NOW - timedelta(days=7) - WINDOW
    assert found.days == WINDOW.days
    first, ordered, revenue = PAST.units(since)
    entered = first < since + found.days * 86_400
    assert len(found.units) == entered.sum() > 500
    days = np.bincount(((first[entered] - since) // 86_400).astype(int), minlength=found.days)
    assert found.intake.by(found.days) == entered.sum()
    assert np.array_equal(np.diff(found.intake.units[: found.days], prepend=0.0), days)
    by_name = {one.metric: found.baseline(one) for one in found.questions}
    assert by_name["ordered"].value == pytest.approx(ordered[entered].mean(), rel=1e-12)
    assert by_name["revenue"].value == pytest.approx(revenue[entered].mean(), rel=1e-12)
    assert by_name["revenue"].variance == pytest.approx(revenue[entered].var(ddof=1), rel=1e-9)
    many = np.zeros(PAST.customers)
    for customer, at, _ in PAST.orders:
        many[customer] += first[customer] < at <= first[customer] + 7 * 86_400
    basket = revenue[entered].sum() / many[entered].sum()
    assert by_name["basket"].value == pytest.approx(basket, rel=1e-12)
    each = (revenue[entered] - basket * many[entered]) / many[entered].mean()
    assert by_name["basket"].variance == pytest.approx(each.var(ddof=1), rel=1e-9)


def test_what_covariates_take_out_is_counted(shop: Project) -> None:
    found = history(shop, "tea")
    question = found.questions[0]
    spent = found.units.values[question.columns[-1]]
    revenue = found.units.values[question.columns[0]]
    expected = np.corrcoef(spent, revenue)[0, 1] ** 2
    baseline = found.baseline(question)
    assert len(question.columns) == 2
    assert baseline.reduction == pytest.approx(expected, rel=1e-6)
    assert baseline.reduction > 0.01
    plain = history(shop, "plain")
    assert plain.baseline(plain.questions[0]).reduction == 0.0


@pytest.mark.parametrize(
    ("name", "method"), [("tea", "anytime"), ("plain", "anytime"), ("less", "fixed")]
)
def test_simulated_power_is_what_the_formula_promises(
    shop: Project, name: str, method: Any
) -> None:
    found = history(shop, name)
    read = found.questions[0]
    arms = {"control": 0.6, "new": 0.4}
    days, runs = 60, 120
    asked = Question(found.baseline(read, days), 0.5, arms, method=method)
    nothing, _, whole, _ = simulate(found, read, asked, days, np.random.default_rng(5), runs)
    promised = power_by(_varying_more(asked), found.intake, days)
    assert whole.effect == 0.5
    assert abs(whole.power - promised) < 3.3 * math.sqrt(0.25 / runs)
    assert nothing.power <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    seen = [share for _, share in whole.by_day]
    assert seen == sorted(seen)


def test_plans_of_many_units_are_simulated_too(shop: Project) -> None:
    found = history(shop, "tea")
    times, read, days, runs = 200, found.questions[0], 60, 25
    units = found.units
    arm, values = np.tile(units.arm, times), np.tile(units.values, times)
    many = replace(
        found, units=replace(units, arm=arm, values=values), day=np.tile(found.day, times)
    )
    assert len(many.units) > MOST_ROWS
    arms = {"control": 0.5, "new": 0.5}
    asked = Question(found.baseline(read, days), 0.03, arms, method="fixed")
    nothing, _, whole, _ = simulate(many, read, asked, days, np.random.default_rng(5), runs)
    promised = power_by(_varying_more(asked), many.intake, days)
    assert many.intake.by(days) > MOST_ROWS
    assert 0.3 < promised < 0.95
    assert abs(whole.power - promised) < 3.3 * math.sqrt(0.25 / runs)
    assert nothing.power <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_units_that_are_drawn_are_those_that_come(shop: Project) -> None:
    """The slow twin: each unit by itself, on the day of its own or on one like the last ones."""
    found, rng = history(shop, "plain"), np.random.default_rng(8)
    read, days = found.questions[0], found.days + 250
    pool = _Pool.of(found, read, np.array([30, days]), rng)
    drawn = [[one.n for one in pool.drawn(0.5, rng).sums()] for _ in range(200)]
    assert found.intake.by(days) > 1.04 * found.intake.by(found.days)
    expected = [0.5 * found.intake.by(30), 0.5 * found.intake.by(days)]
    for many, wanted in zip(np.mean(drawn, axis=0), expected, strict=True):
        assert abs(many - wanted) < 4.0 * math.sqrt(wanted / 200)
    value = found.units.values[read.columns[0]]
    late = found.day >= found.days * 3 // 4
    of_day = [
        value[found.day == day].mean() for day in range(found.days) if late[found.day == day].any()
    ]
    early = value[found.day < 30].sum() / 2.0
    means = [[one.means[0] * one.n for one in pool.drawn(0.5, rng).sums()] for _ in range(200)]
    first, whole = np.mean(means, axis=0)
    more = (found.intake.by(days) - found.intake.by(found.days)) / 2.0
    assert abs(first - early) < 4.0 * math.sqrt(early / 200)
    later = value.sum() / 2.0 + more * np.mean(of_day)
    assert abs(whole - later) < 4.0 * math.sqrt(later / 200)


@pytest.mark.parametrize("effect", [0.5, -0.5])
def test_of_a_share_more_or_fewer_do_it(shop: Project, effect: float) -> None:
    found, rng = history(shop, "plain"), np.random.default_rng(8)
    pool = _Pool.of(found, found.questions[0], np.array([found.days]), rng)
    drawn = [pool.drawn(1.0, rng).sums(effect, pool.share, rng)[-1] for _ in range(100)]
    mean = np.mean([one.means[0] for one in drawn])
    assert mean == pytest.approx((1.0 + effect) * pool.share, rel=0.05)
    first = drawn[0]
    assert first.products[0, 0] == pytest.approx(first.n * first.means[0] * (1.0 - first.means[0]))


def _varying_more(asked: Question) -> Question:
    """Let the treated vary as a mean does that the effect is multiplied on."""
    if asked.baseline.kind == "proportion":
        return asked
    split = asked.split
    plain = 1.0 / split.control + 1.0 / split.treated
    more = 1.0 / split.control + (1.0 + asked.effect) ** 2 / split.treated
    baseline = replace(asked.baseline, variance=asked.baseline.variance * more / plain)
    return msgspec.structs.replace(asked, baseline=baseline)


def test_a_plan_says_how_long_what_it_costs_and_what_else_it_tells(shop: Project) -> None:
    plan = shop.experiments.plan("tea", simulate=False)
    assert plan.feasible
    assert (plan.metric, plan.kind, plan.unit, plan.comparisons) == ("revenue", "mean", "EUR", 2)
    assert plan.entering >= plan.units
    assert plan.days is not None
    assert plan.known_in == math.ceil((plan.days + 7) / 7)
    assert plan.matures == 7.0
    assert plan.detectable is not None
    assert plan.detectable <= 0.6
    assert plan.cost is not None
    assert plan.cost.amount == pytest.approx(0.6 * plan.baseline * 0.5 * plan.entering)
    beside = {one.metric: one for one in plan.beside}
    assert beside["ordered"].role == "counter"
    assert beside["ordered"].margin == 0.3
    assert beside["rated"].enough is None  # nobody ever rated
    assert beside["basket"].detectable is not None
    assert plan == shop.experiments.plan("tea", simulate=False)


def test_covariates_shorten_a_plan(shop: Project) -> None:
    plan = shop.experiments.plan("tea", simulate=False)
    assert plan.reduction > 0.0
    assert any("take" in note and "of the variance" in note for note in plan.notes)


def test_an_impossible_one_is_not_registered(shop: Project) -> None:
    plan = shop.experiments.plan("small", simulate=False)
    assert not plan.feasible
    with pytest.raises(Refused, match=r"an effect of 1% on revenue is out of reach.*nearest: "):
        shop.experiments.register("small", plan)
    with pytest.raises(Refused, match="out of reach"):
        shop.experiments.start("small")
    assert shop.experiments.show("small")["stage"] == "declared"


def test_a_start_plans_and_registers_first(shop: Project) -> None:
    done = shop.experiments.start("plain")
    assert done["stage"] == "running"
    shown = shop.experiments.show("plain")
    assert [one["action"] for one in shown["log"]] == ["register", "start"]
    assert shown["plan"]["units"] > 0
    assert len(shown["plan"]["simulated"]) == 4


def test_the_holdout_of_the_goal_is_planned_too(shop: Project) -> None:
    plan = shop.experiments.plan(simulate=False)
    assert (plan.design, plan.metric) == ("holdout", "revenue")
    assert plan.arms == {"held out": 0.1, "everybody else": 0.9}
    assert not plan.feasible  # 5% of what varies so
    assert plan.detectable is not None
    larger = shop.experiments.plan(effect=0.99, simulate=False)
    assert larger.feasible


def test_a_line_says_what_the_holdout_detects_and_when(shop: Project) -> None:
    line = detects(shop.definitions, FixedClock(NOW))
    assert line.startswith("the holdout of 10%: 5% of revenue is unknown beyond week 13, when")
    plan = shop.experiments.plan(effect=0.99, simulate=False)
    line = sentence(plan)
    assert line.startswith(f"the holdout of 10%: unknown until week {plan.known_in}; then 99%")


def test_what_nothing_happens_in_is_no_metric_to_plan_by(shop: Project) -> None:
    with pytest.raises(ProjectError, match=r"rated is the same for all .* units of the history"):
        shop.experiments.plan("never")


def test_without_history_there_is_no_baseline(tmp_path: Path) -> None:
    definitions = PAST.project(root=tmp_path, experiments=EXPERIMENTS_TOLD, goal=GOAL)
    with Project(definitions, FixedClock(NOW)) as project:
        with pytest.raises(Refused, match=r"no baseline to plan by .*liftwerk experiment plan --b"):
            project.experiments.plan("tea")
        few = Past(customers=60)
        few.tell(definitions, project.stores)
        with pytest.raises(Refused, match=r"\(\d+ units in 91 days from 2026-02-22\)"):
            project.experiments.plan("tea")
    early = NOW - timedelta(days=140)
    with (
        Project(definitions, FixedClock(early)) as project,
        pytest.raises(Refused, match=r"\d days before the last 7 days"),
    ):
        project.experiments.plan("tea")


def test_every_design_that_is_planned_here_has_its_line() -> None:
    assert set(PLANNERS) >= {"ab", "holdout"}
