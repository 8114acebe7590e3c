"""Plans: by hand and by history, what is refused, and that the nearest plan works."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from liftwerk.cli.main import main
from liftwerk.errors import ProjectError, Refused
from liftwerk.experiments.planning.answer import planned
from liftwerk.experiments.planning.calculate import baseline_of, calculate
from liftwerk.experiments.planning.intake import Intake
from liftwerk.experiments.planning.nearest import nearest
from liftwerk.experiments.planning.plan import HORIZON, demand_feasible
from liftwerk.experiments.planning.question import (
    Question,
    days_needed,
    detectable_by,
    power_by,
    with_arms,
)
from liftwerk.stats.power import Baseline, Looks, units_needed

SHARE = Baseline.proportion(0.05)
HALVES = {"control": 0.5, "new": 0.5}
TOLD = {"experiment": "tea", "design": "ab", "metric": "ordered", "unit": "share"}


def test_units_go_on_to_come_as_they_last_did() -> None:
    intake = Intake.of_days(np.array([1000.0, *[10.0] * 20, *[20.0] * 7]))
    assert intake.by(1) == 1000.0
    assert intake.by(28) == 1340.0
    assert intake.by(HORIZON) == pytest.approx(1340.0 + 20.0 * (HORIZON - 28))


@pytest.mark.parametrize("method", ["anytime", "fixed"])
@pytest.mark.parametrize("a_day", [800.0, 3_000.0, 7_000.0])
def test_the_days_are_the_fewest_that_do(method: Any, a_day: float) -> None:
    question = Question(SHARE, 0.15, HALVES, method=method)
    intake = Intake.steady(a_day)
    days = days_needed(question, intake)
    assert days is not None
    assert power_by(question, intake, days) >= 0.8
    assert power_by(question, intake, days - 1) < 0.8
    assert detectable_by(question, intake, days) <= 0.15
    assert detectable_by(question, intake, days - 1) > 0.15


def test_a_fixed_plan_needs_what_the_formula_says() -> None:
    plan = calculate(SHARE, 0.1, a_day=5_000.0, method="fixed", arms=3)
    level = 1.0 - 0.05 / 2
    units = units_needed(SHARE, 0.005, looks=Looks("fixed", level)) / 2 * 3
    assert plan.units == pytest.approx(units, abs=1)
    assert plan.days == math.ceil(units / 5_000.0)
    assert plan.comparisons == 2
    assert sum(plan.per_arm.values()) == pytest.approx(plan.units, abs=3)


def test_without_days_only_units_are_told() -> None:
    plan = calculate(baseline_of(None, 45.0, 80.0), -0.03)
    assert (plan.days, plan.known_in, plan.curve) == (None, None, ())
    assert plan.detectable == pytest.approx(-0.03, rel=1e-4)
    demand_feasible(plan)


# ------------------------------------------------------------------------------- the nearest plan

IMPOSSIBLE = [
    Question(SHARE, 0.04, HALVES),
    Question(SHARE, 0.1, HALVES, share=0.2),
    Question(SHARE, 0.11, {"control": 0.25, "a": 0.25, "b": 0.25, "c": 0.25}, family=3),
    Question(Baseline("mean", 40.0, 6400.0), -0.05, {"control": 0.9, "new": 0.1}, method="fixed"),
    Question(SHARE, 0.1, HALVES, share=0.2, most=0.3),
]


@pytest.mark.parametrize("question", IMPOSSIBLE, ids=lambda one: f"{one.effect} {len(one.arms)}")
def test_every_change_that_is_proposed_works(question: Question) -> None:
    intake, longest = Intake.steady(2_000.0), 28
    assert days_needed(question, intake, longest) is None
    found = nearest(question, intake, longest, holdout=False)
    assert found
    assert [one.times for one in found] == sorted(one.times for one in found)
    for change in found:
        assert days_needed(
            _changed(question, change.what, change.to), intake, _longest(change, longest)
        )


def _changed(question: Question, what: str, to: float) -> Question:
    if what == "effect":
        return msgspec.structs.replace(question, effect=to)
    if what == "share":
        assert to <= question.most
        return msgspec.structs.replace(question, share=to)
    if what == "arms":
        kept = dict(list(question.arms.items())[: int(to)])
        return with_arms(question, kept)
    return question


def _longest(change: Any, longest: int) -> int:
    if change.what == "days":
        return int(change.to)
    return longest


def test_of_a_holdout_more_is_kept_out() -> None:
    question = Question(SHARE, 0.08, {"held out": 0.05, "others": 0.95})
    intake = Intake.steady(4_000.0)
    found = {one.what: one.to for one in nearest(question, intake, 91, holdout=True)}
    held = found["control"]
    assert 0.05 < held < 0.5
    larger = msgspec.structs.replace(question, arms={"held out": held, "others": 1.0 - held})
    assert days_needed(larger, intake, 91)
    smaller = msgspec.structs.replace(
        question, arms={"held out": held * 0.9, "others": 1.0 - held * 0.9}
    )
    assert days_needed(smaller, intake, 91) is None


def test_an_impossible_plan_is_refused_with_the_nearest() -> None:
    plan = planned(IMPOSSIBLE[1], Intake.steady(2_000.0), within=28, told=TOLD)
    assert (plan.feasible, plan.days, plan.known_in) == (False, 28, None)
    assert plan.units > plan.entering
    with pytest.raises(Refused) as refused:
        demand_feasible(plan)
    assert str(refused.value).startswith(
        "an effect of 10% on ordered is out of reach: what 28 days"
    )
    assert plan.nearest[0].words in str(refused.value)


def test_what_nothing_would_help_says_so() -> None:
    plan = calculate(SHARE, 0.0001, a_day=10.0)
    assert plan.nearest == ()
    with pytest.raises(Refused, match="no single change would do"):
        demand_feasible(plan)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ((None, None, None), "no baseline is given"),
        ((0.1, 2.0, 3.0), "no baseline is given, or two"),
        ((None, 2.0, None), "no baseline is given"),
        ((1.0, None, None), "the baseline is 1"),
        ((None, 0.0, 1.0), "tell nothing"),
        ((None, 3.0, 0.0), "tell nothing"),
    ],
)
def test_figures_that_are_no_baseline_are_refused(figures: Any, words: str) -> None:
    with pytest.raises(ProjectError, match=words):
        baseline_of(*figures)


@pytest.mark.parametrize(
    "wrong", [{"effect": 0.0}, {"effect": 11.0}, {"arms": 1}, {"arms": 21}, {"a_day": 0.0}]
)
def test_figures_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    asked = {"effect": 0.1, **wrong}
    with pytest.raises(ProjectError, match="experiment plan"):
        calculate(SHARE, asked.pop("effect"), **asked)


# ---------------------------------------------------------------------------- the command


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["experiment", "plan", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_calculator_needs_no_project(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("--baseline", "2%", "--effect", "5%", "--method", "fixed", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert found["per_arm"] == {"control": 315_203, "arm 1": 315_203}
    assert command("--baseline", "2%", "--effect", "5%", "--per-day", "4000", "--json") == 1
    printed = capfd.readouterr()
    assert json.loads(printed.out)["feasible"] is False
    assert printed.err.startswith("error: an effect of 5% on the metric is out of reach")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--baseline", "2%"),
        ("--baseline", "2", "--effect", "5%"),
        ("--baseline", "2%", "--effect", "many"),
        ("--baseline", "2%", "--effect", "5%", "--power", "100%"),
        ("--baseline", "2%", "--effect", "5%", "--within", "5min"),
        ("--baseline", "2%", "--effect", "5%", "--within", "soon"),
        ("tea", "--baseline", "2%", "--effect", "5%"),
        ("tea", "--design", "holdout"),
        ("--mean", "2", "--effect", "5%"),
    ],
    ids=" ".join,
)
def test_a_call_that_is_wrong_is_one_line(
    arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert command(*arguments) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
