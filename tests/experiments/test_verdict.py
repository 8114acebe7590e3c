"""A verdict for every case, in words that a tired reader takes home."""

from __future__ import annotations

from typing import Any

import pytest

from liftwerk.experiments.reading import Check, Comparison, Counted, Verdict
from liftwerk.experiments.verdict import SPOILS, Asked, judge
from liftwerk.stats.estimate import Estimate, Unknown

ASKED = Asked("customer", 0.05, fixed=False)


def arm(name: str, matured: int = 1_000) -> Counted:
    return Counted(name, name.capitalize(), 0.5, 1_000, matured, 1_000)


ARMS = (arm("control"), arm("voucher"))


def compared(low: float, high: float, arm: str = "voucher", **fields: Any) -> Comparison:
    """Compare on a control of 2: the relative interval is half the absolute one."""
    value = (low + high) / 2
    answer = "unclear"
    if low > 0:
        answer = "better"
    if high < 0:
        answer = "worse"
    told: dict[str, Any] = {
        "metric": "margin",
        "arm": arm,
        "role": "primary",
        "unit": "EUR",
        "up": True,
        "control": 2.0,
        "treated": 2.0 + value,
        "absolute": Estimate(value, low, high, 0.1, 2_000, "difference of means"),
        "relative": Estimate(value / 2, low / 2, high / 2, 0.05, 2_000, "difference of means"),
        "p_value": 0.01,
        "adjusted": 0.01,
        "answer": answer,
        **fields,
    }
    return Comparison(**told)


def counter(harmless: bool | None, more: int | None = None) -> Comparison:
    fields = {"metric": "returns", "role": "counter", "unit": "share", "up": False}
    return compared(0.1, 0.3, **fields, margin=0.02, harmless=harmless, more=more)


def said(*comparisons: Comparison, asked: Asked = ASKED) -> Verdict:
    return judge(ARMS, comparisons, (), asked)


def test_better_is_shipped() -> None:
    told = said(compared(0.11, 0.73))
    assert told.advice == "ship"
    assert told.words == "Ship Voucher: margin EUR +0.420 (+0.110 to +0.730) a customer."
    assert told.arm == "voucher"


def test_worse_is_stopped() -> None:
    told = said(compared(-0.73, -0.11))
    assert told.advice == "stop"
    assert "EUR −0.420 (−0.730 to −0.110)" in told.words


def test_undecided_runs_on_and_says_until_when() -> None:
    told = said(compared(-0.3, 0.5, more=12_345))
    assert told.words == "Keep running Voucher: margin EUR +0.100 (−0.300 to +0.500) a customer."
    assert told.change.endswith("decided after about 12,000 more units.")


def test_what_no_number_of_units_would_decide_is_said() -> None:
    assert "no reasonable number" in said(compared(-0.3, 0.3)).change


def test_too_small_to_matter_is_stopped() -> None:
    told = said(compared(-0.06, 0.08))
    assert told.advice == "stop"
    assert "less than the 5.0% that would matter" in told.words


def test_an_unknown_figure_is_no_advice() -> None:
    unknown = Unknown("an arm has 3 units", "at least 50 units in each arm")
    told = said(compared(0, 1, absolute=unknown, relative=unknown, answer="unknown"))
    assert told.advice == "unknown"
    assert "because an arm has 3 units" in told.words
    assert told.change == "It would take at least 50 units in each arm."


@pytest.mark.parametrize(
    ("harmless", "advice"), [(True, "ship"), (None, "keep running"), (False, "stop")]
)
def test_a_counter_metric_can_only_hold_back(harmless: bool | None, advice: str) -> None:
    told = said(compared(0.11, 0.73), counter(harmless, more=800))
    assert told.advice == advice
    if harmless is None:
        assert "not yet sure that returns gets at most 2.0% worse" in told.words
        assert "about 800 more units" in told.change


def test_a_harmless_counter_metric_ships_nothing() -> None:
    assert said(compared(-0.3, 0.5), counter(True)).advice == "keep running"


@pytest.mark.parametrize("name", SPOILS)
def test_what_spoils_the_answer_leaves_no_figure(name: str) -> None:
    rung = Check(name, "alarm", "Units are lost.")
    told = judge(ARMS, [compared(0.11, 0.73)], [rung], ASKED)
    assert told.advice == "do not trust"
    assert told.words == "Do not trust it. Units are lost."
    assert "EUR" not in told.words


@pytest.mark.parametrize("name", ["novelty", "exposure imbalance", "identity mixing"])
def test_what_only_warns_leaves_the_figure(name: str) -> None:
    rung = Check(name, "alarm", "It fades.")
    assert judge(ARMS, [compared(0.11, 0.73)], [rung], ASKED).advice == "ship"


def test_of_several_arms_the_best_is_shipped_and_the_bad_stopped() -> None:
    arms = (*ARMS, arm("big"), arm("rude"))
    told = judge(
        arms,
        [compared(0.1, 0.3), compared(0.2, 0.6, "big"), compared(-0.5, -0.1, "rude")],
        (),
        ASKED,
    )
    assert told.words.startswith("Ship Big: ")
    assert told.words.endswith("Stop Rude.")
    assert told.arm == "big"


def test_less_is_better_where_it_is_declared_so() -> None:
    arms = (*ARMS, arm("big"))
    fewer = compared(-0.6, -0.2, "big", up=False, answer="better")
    told = judge(arms, [compared(-0.3, -0.1, up=False, answer="better"), fewer], (), ASKED)
    assert told.arm == "big"


def test_a_fixed_reading_waits() -> None:
    asked = Asked("customer", 0.05, fixed=True, planned=10_000)
    told = said(compared(0.11, 0.73), asked=asked)
    assert told.advice == "keep running"
    assert "when 10,000 units have had their whole time; 2,000 have." in told.words


def test_before_anything_matured_it_says_when() -> None:
    asked = Asked("customer", 0.05, fixed=False, first="2026-03-08")
    told = judge([arm("control", 0), arm("voucher", 0)], [compared(0, 1)], (), asked)
    assert told.change == "The first units will have had their whole time on 2026-03-08."
