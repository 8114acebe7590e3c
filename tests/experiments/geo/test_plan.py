from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pytest

from liftwerk.errors import ProjectError, Refused, UnknownName
from liftwerk.experiments.geo import GeoPlan, read_file
from liftwerk.experiments.geo.plan import Wish, plan
from liftwerk.stats.synthetic_control import Panel
from liftwerk.stats.synthetic_control.augmented import choose_penalty, fit
from liftwerk.stats.synthetic_control.conformal import infer
from liftwerk.stats.synthetic_control.power import detect

FILE = Path(__file__).parents[3] / "examples" / "geolift" / "geolift_test.csv"
WISH = Wish(lift=0.15, days=(14,), sizes=(2,), draws=60)


@pytest.fixture(scope="module")
def history(draw):
    return draw("nothing_works", 7, markets=14, treated=1, before=80)[1]


@pytest.fixture(scope="module")
def planned(history):
    return plan(history, WISH, np.random.default_rng(0))


def test_a_plan_names_markets_that_find_the_lift(planned, history):
    assert planned.options
    for option in planned.options:
        assert option.power >= 0.8
        assert option.detectable <= 0.15
        assert len(set(option.markets)) == 2
        assert set(option.markets) <= set(history.names)
        powers = [point.power for point in option.curve]
        assert powers == sorted(powers)
        assert option.cost is None
    least = [option.detectable for option in planned.options]
    assert least == sorted(least)
    assert 30 <= planned.draws <= 120


def test_a_plan_goes_through_json_whole(planned):
    again = msgspec.json.decode(msgspec.json.encode(planned), type=GeoPlan)
    assert again == planned


def test_lengths_that_the_history_has_no_room_for_are_left_out(history):
    found = plan(history, replace(WISH, days=(14, 60)), np.random.default_rng(0))
    assert set(found.unrest) == {14}
    assert {option.days for option in found.options} == {14}


def test_the_same_seed_plans_the_same(planned, history):
    assert plan(history, WISH, np.random.default_rng(0)) == planned


def test_power_is_what_the_reading_would_find(history):
    panel = Panel(history.values[:, :2], history.values[:, 2:], before=80)
    penalty = choose_penalty(panel)
    lifts = np.linspace(0.005, 0.1, 20)
    found = detect(panel, penalty, lifts)
    assert 2 < found.least < 18
    for place, lift in enumerate(lifts):
        with_effect = Panel(panel.treated.copy(), panel.donors, 80)
        with_effect.treated[80:] *= 1.0 + lift
        effect = fit(with_effect, penalty).effect(80)
        claimed = infer(with_effect, penalty, effect).p_value <= 0.05
        assert claimed == (place >= found.least)


def test_wishes_are_kept(history):
    wish = replace(WISH, required=("m03",), excluded=("m05",), price=2.0, largest_share=0.3)
    for option in plan(history, wish, np.random.default_rng(1)).options:
        assert "m03" in option.markets
        assert "m05" not in option.markets
        assert option.share <= 0.3
        columns = history.columns(option.markets)
        usual = history.values[-14:, columns].sum()
        assert option.cost == pytest.approx(2.0 * 0.15 * usual)


def test_an_impossible_plan_is_refused_with_the_nearest(history):
    with pytest.raises(Refused, match=r"no test of 14 days .* finds \+2.0%") as refused:
        plan(history, replace(WISH, lift=0.02, draws=40), np.random.default_rng(0))
    nearest = refused.value.hint
    assert nearest.startswith("nearest: +")
    lift = float(nearest.split("+")[1].split("%")[0]) / 100
    again = plan(history, replace(WISH, lift=lift, draws=40), np.random.default_rng(0))
    assert again.options


@pytest.mark.parametrize(
    ("changed", "family", "said"),
    [
        ({"days": (60,)}, Refused, "nearest: a test of 23 days"),
        ({"sizes": (12,)}, Refused, "at most 9 can"),
        ({"largest_share": 0.01}, Refused, "nearest:"),
        ({"required": ("m03",), "excluded": ("m03",)}, ProjectError, "required and excluded"),
        ({"required": ("m99",)}, UnknownName, "not in the data"),
    ],
)
def test_wishes_that_cannot_be_are_refused(history, changed, family, said):
    with pytest.raises(family, match=said) as refused:
        plan(history, replace(WISH, **changed), np.random.default_rng(0))
    assert "\n" not in str(refused.value)


def test_the_walkthrough_can_be_planned():
    before = read_file(FILE, {}).until(date(2021, 3, 31))
    assert before.values.shape == (90, 40)
    wish = Wish(lift=0.1, days=(15,), sizes=(2, 3), draws=60)
    best = plan(before, wish, np.random.default_rng(0)).options[0]
    assert best.power >= 0.8
    assert best.share < 0.2
