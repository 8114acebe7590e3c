"""A design that is read once waits for its end, asks all questions together, and judges."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from liftwerk.definitions import Project
from liftwerk.experiments.once import Seen, lay_out
from liftwerk.experiments.reading import Check, Reading
from liftwerk.experiments.state import Ramp, State
from liftwerk.experiments.version import body_of, hash_of
from liftwerk.stats.estimate import Estimate, Unknown
from tests.events import shop as shops

BEGAN, NOW = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
COUNTED = {"description": "x", "from": "order_completed", "within": "7d"}
METRICS = {
    "revenue": {**COUNTED, "aggregate": "sum", "property": "revenue"},
    "orders": {**COUNTED, "aggregate": "count"},
    "returns": {**COUNTED, "aggregate": "count", "better": "lower"},
}
POSTERS: dict[str, Any] = {
    "design": "switchback",
    "description": "A fee",
    "arms": {"usual": {}, "dearer": {"label": "3.90"}},
    "metrics": ["revenue", "orders"],
    "counter_metrics": {"returns": "10%"},
    "purpose": "measurement",
    "switchback": {"block": "6h"},
}


def project(**changed: Any) -> Project:
    return shops.shop(metrics=METRICS, experiments={"fee": {**POSTERS, **changed}})


def state(stopped: datetime | None = NOW, plan: dict[str, Any] | None = None) -> State:
    body = body_of(project(), "fee")
    return State(
        "fee",
        stage="running" if stopped is None else "stopped",
        version=hash_of(body),
        body=body,
        plan=plan or {},
        registered=BEGAN,
        started=BEGAN,
        stopped=stopped,
        ramps=(Ramp(BEGAN, Fraction(1)),),
    )


def seen(metric: str, value: float, half: float, p_value: float) -> Seen:
    figure = Estimate(value, value - half, value + half, half / 2, 100, "by the lot")
    part = Estimate(value / 100, (value - half) / 100, (value + half) / 100, half / 200, 100, "m")
    return Seen(metric, "dearer", 100.0, 100.0 + value, figure, part, p_value)


def read(
    *found: Seen,
    checks: tuple[Check, ...] = (),
    of: Project | None = None,
    stood: State | None = None,
) -> Reading:
    return lay_out(
        of or project(),
        stood or state(),
        found,
        checks,
        unit="period of 1h",
        units={"usual": 50, "dearer": 51},
        start=BEGAN,
        notes=(),
        sql={},
        now=NOW,
    )


CLEAR = seen("revenue", 8.0, 3.0, 0.01)
NONE = seen("orders", 0.1, 4.0, 0.9)
SAME = seen("returns", 0.0, 5.0, 1.0)


def test_a_clear_effect_is_shipped_and_told_in_its_unit() -> None:
    found = read(CLEAR, NONE, SAME)
    assert found.verdict.advice == "ship"
    assert found.verdict.words == "Ship 3.90: revenue EUR +8.00 (+5.00 to +11.00) a period of 1h."
    assert [one.answer for one in found.comparisons] == ["better", "unclear", "unclear"]
    assert [one.harmless for one in found.comparisons] == [None, None, True]
    # Two metrics judge: Holm doubles the lesser p-value. The counter-metric is no claim.
    assert [one.adjusted for one in found.comparisons] == [0.02, 0.9, 1.0]


def test_of_two_questions_one_that_is_just_clear_is_not() -> None:
    alone = seen("revenue", 8.0, 7.9, 0.04)
    assert read(alone, NONE, SAME).comparisons[0].answer == "unclear"
    assert read(alone, NONE, SAME).verdict.advice == "unclear"
    assert "plan it first" in read(alone, NONE, SAME).verdict.change
    unknown = Unknown("too few blocks", "more")
    unsaid = Seen("orders", "dearer", None, None, unknown, unknown, None)
    # What is unknown was asked all the same.
    assert read(alone, unsaid, SAME).comparisons[0].adjusted == pytest.approx(0.08)


def test_what_hurts_or_may_hurt_is_not_shipped() -> None:
    assert read(CLEAR, NONE, seen("returns", 20.0, 5.0, 0.001)).verdict.advice == "stop"
    maybe = read(CLEAR, NONE, seen("returns", 8.0, 5.0, 0.01))
    assert maybe.verdict.advice == "unclear"
    assert "it is not yet sure that returns gets at most 10.0% worse" in maybe.verdict.words


@pytest.mark.parametrize("name", ["carry-over", "placebo in time", "placebo in space"])
def test_what_spoils_the_answer_is_not_trusted(name: str) -> None:
    alarm = Check(name, "alarm", "Something else was there.")
    assert read(CLEAR, NONE, SAME, checks=(alarm,)).verdict.advice == "do not trust"
    warning = Check("second opinion", "alarm", "Newey-West says otherwise.")
    assert read(CLEAR, NONE, SAME, checks=(warning,)).verdict.advice == "ship"


def test_what_was_changed_after_its_registration_is_not_trusted() -> None:
    found = read(CLEAR, NONE, SAME, of=project(metrics=["revenue"]))
    assert found.verdict.advice == "do not trust"
    assert found.checks[-1].name == "registration"


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({}, "when it was stopped."),
        ({"days": 28}, "after its 28 planned days, on 2026-03-29."),
        ({"days": 14}, "after its 14 planned days, on 2026-03-15."),
    ],
)
def test_one_that_runs_is_waited_for(plan: dict[str, Any], words: str) -> None:
    found = read(CLEAR, NONE, SAME, stood=state(None, plan))
    assert found.verdict.advice == "keep running"
    assert found.verdict.words.endswith(words)
