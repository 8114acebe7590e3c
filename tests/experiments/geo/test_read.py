from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from liftwerk.errors import InputError, ProjectError
from liftwerk.experiments.geo import GeoReading, read_file
from liftwerk.experiments.geo.read import read
from liftwerk.server import geo_figures
from liftwerk.stats import Estimate, Unknown

FILE = Path(__file__).parents[3] / "examples" / "geolift" / "geolift_test.csv"
START, END = date(2021, 4, 1), date(2021, 4, 15)


@pytest.fixture(scope="module")
def walkthrough():
    cells = {"treated": ("chicago", "portland")}
    rng = np.random.default_rng(0)
    return read(read_file(FILE, {}), cells, START, END, rng=rng, spend={"treated": 2_000.0})


def test_the_walkthrough_says_what_geolift_says(walkthrough):
    (cell,) = walkthrough.cells
    assert walkthrough.others == 38
    assert cell.effect.value == pytest.approx(155.556, abs=0.01)
    assert cell.incremental.value == pytest.approx(4_667, abs=1)
    assert cell.lift.value == pytest.approx(0.054, abs=0.001)
    assert cell.p_value <= 0.05
    assert cell.effect.low < 155.6 < cell.effect.high
    assert cell.weights["cincinnati"] == pytest.approx(0.227, abs=0.001)
    assert list(cell.weights)[:2] == ["cincinnati", "miami"]


def test_every_figure_is_the_effect_in_another_unit(walkthrough):
    (cell,) = walkthrough.cells
    for end in ("value", "low", "high"):
        effect = getattr(cell.effect, end)
        assert getattr(cell.incremental, end) == pytest.approx(effect * 2 * 15)
        assert getattr(cell.roas, end) == pytest.approx(effect * 2 * 15 / 2_000.0)
        seen = np.mean(cell.series.treated[90:])
        assert getattr(cell.lift, end) == pytest.approx(effect / (seen - effect))
    gap = np.subtract(cell.series.treated, cell.series.counterfactual)
    assert gap[90:].mean() == pytest.approx(cell.effect.value)
    assert gap[:90].mean() == pytest.approx(0.0, abs=1e-6)


def test_a_reading_goes_through_json_whole(walkthrough):
    again = msgspec.json.decode(msgspec.json.encode(walkthrough), type=GeoReading)
    assert again == walkthrough


def test_checks_are_made_and_the_second_opinion_is_beside(walkthrough):
    (cell,) = walkthrough.cells
    assert {check.name: check.state for check in cell.checks} == {
        "fit": "ok",
        "drift": "ok",
        "placebo in time": "ok",
        "placebo in space": "ok",
        "second opinion": "ok",
    }
    assert isinstance(cell.second, Estimate)
    assert "difference-in-differences" in cell.second.method


def test_what_lies_after_the_test_is_not_read(walkthrough):
    markets = read_file(FILE, {})
    values = markets.values.copy()
    values[100:] = 1e6
    cells = {"treated": ("chicago", "portland")}
    short = date(2021, 4, 10)
    first, second = (
        read(given, cells, START, short, rng=np.random.default_rng(0))
        for given in (markets, replace(markets, values=values))
    )
    assert first == second
    assert first.cells[0].roas is None


def test_cells_share_the_others_and_do_not_see_each_other(draw):
    trial, markets, treated = draw("plain", 1)
    days = markets.days.tolist()
    cells = {"tv": treated[:2], "radio": treated[2:]}
    found = read(markets, cells, days[60], days[-1], rng=np.random.default_rng(0))
    alone = read(
        markets.without(treated[2:]),
        {"tv": treated[:2]},
        days[60],
        days[-1],
        rng=np.random.default_rng(0),
    )
    assert [cell.cell for cell in found.cells] == ["tv", "radio"]
    assert found.others == 12
    assert found.cells[0].effect == alone.cells[0].effect
    assert not set(found.cells[0].weights) & set(treated)
    for cell in found.cells:
        assert cell.effect.low < trial.effect < cell.effect.high


def test_the_cost_is_what_was_spent_more_than_before(draw):
    _, markets, treated = draw("plain", 2)
    spend = np.full_like(markets.values, 10.0)
    spend[60:, [markets.names.index(name) for name in treated]] = 25.0
    days = markets.days.tolist()
    given = replace(markets, spend=spend)
    cells = {"ads": treated}
    found = read(given, cells, days[60], days[-1], rng=np.random.default_rng(0)).cells[0]
    assert found.spend == pytest.approx(15.0 * 4 * 14)
    assert found.roas.value == pytest.approx(found.incremental.value / (15.0 * 4 * 14))
    same = replace(markets, spend=np.full_like(markets.values, 10.0))
    unspent = read(same, cells, days[60], days[-1], rng=np.random.default_rng(0)).cells[0]
    assert isinstance(unspent.roas, Unknown)


def test_something_that_hit_everybody_is_an_alarm(draw):
    _, markets, treated = draw("nothing_works", 3)
    values = markets.values.copy()
    # During the test half of the others lose a fifth: the treated ones only look as if they gained.
    hit = [place for place, name in enumerate(markets.names) if name not in treated][::2]
    values[60:, hit] *= 0.8
    days = markets.days.tolist()
    given = replace(markets, values=values)
    found = read(given, {"ads": treated}, days[60], days[-1], rng=np.random.default_rng(0))
    alarms = {check.name for check in found.cells[0].checks if check.state == "alarm"}
    assert alarms & {"drift", "placebo in space"}


def test_an_earlier_effect_is_an_alarm_in_time(draw):
    _, markets, treated = draw("nothing_works", 4)
    values = markets.values.copy()
    places = [markets.names.index(name) for name in treated]
    values[46:, places] *= 1.4
    days = markets.days.tolist()
    given = replace(markets, values=values)
    found = read(given, {"ads": treated}, days[60], days[-1], rng=np.random.default_rng(0))
    verdicts = {check.name: check.state for check in found.cells[0].checks}
    assert verdicts["placebo in time"] == "alarm"


@pytest.mark.parametrize(
    ("cells", "start", "end", "said"),
    [
        ({"a": ["chicago"]}, END, START, "ends"),
        ({"a": ["chicago"]}, date(2021, 1, 1), END, "no days before the test"),
        ({"a": ["chicago"]}, START, date(2022, 1, 1), "not among the days"),
        ({"a": ["chicago"], "b": ["chicago"]}, START, END, "is in cells"),
        ({"a": ["atlantis"]}, START, END, "not in the data"),
        ({}, START, END, "no market is treated"),
    ],
)
def test_what_cannot_be_read_is_refused(cells, start, end, said):
    with pytest.raises(ProjectError, match=said) as refused:
        read(read_file(FILE, {}), cells, start, end, rng=np.random.default_rng(0))
    assert "\n" not in str(refused.value)


def test_all_markets_treated_is_refused_and_few_others_are_unknown():
    markets = read_file(FILE, {})
    with pytest.raises(InputError, match="all markets are treated"):
        read(markets, {"a": markets.names}, START, END, rng=np.random.default_rng(0))
    found = read(markets, {"a": markets.names[:37]}, START, END, rng=np.random.default_rng(0))
    (cell,) = found.cells
    assert isinstance(cell.effect, Unknown)
    assert cell.p_value is None
    assert isinstance(cell.lift, Unknown)
    assert "unknown" in geo_figures.words(cell)
    ElementTree.fromstring(geo_figures.alone(cell))


def test_the_picture_and_the_table_show_the_same(walkthrough):
    (cell,) = walkthrough.cells
    drawing = ElementTree.fromstring(geo_figures.alone(cell))
    name = "{http://www.w3.org/2000/svg}"
    lines = {line.get("class"): line for line in drawing.iter(f"{name}polyline")}
    assert {len(line.get("points").split()) for line in lines.values()} == {105}
    assert set(lines) == {"would", "seen", "gap"}
    assert drawing.get("aria-label") == geo_figures.words(cell)
    band = next(box for box in drawing.iter(f"{name}rect") if box.get("class") == "band")
    mean = next(line for line in drawing.iter(f"{name}line") if line.get("class") == "average")
    top, height = float(band.get("y")), float(band.get("height"))
    assert top < float(mean.get("y1")) < top + height
    # The band ends above the line of zero: the whole interval is a gain.
    zero = next(line for line in drawing.iter(f"{name}line") if line.get("class") == "zero")
    assert top + height < float(zero.get("y1"))
    rows = geo_figures.table(cell).csv().splitlines()
    assert rows[0] == "day,test,treated,counterfactual,gap"
    assert rows[91].startswith("2021-04-01,yes,")
    assert len(rows) == 106


def test_names_in_the_picture_are_escaped(walkthrough):
    (cell,) = walkthrough.cells
    odd = msgspec.structs.replace(cell, markets=("<b>&\"'",))
    drawing = ElementTree.fromstring(geo_figures.picture(odd))
    assert drawing.get("aria-label").startswith("<b>&\"'")


def test_the_walkthrough_starts_when_it_says(walkthrough):
    (cell,) = walkthrough.cells
    assert cell.series.days[cell.series.before] == START
    assert cell.series.days[-1] - START == timedelta(days=14)
