"""Published results, found again."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from liftwerk.stats.synthetic_control import Panel, measure
from liftwerk.stats.synthetic_control import difference_in_differences as doubly
from liftwerk.stats.synthetic_control.simplex import Simplex

DATA = Path(__file__).parents[1] / "data"


def wide(name):
    rows = list(csv.reader((DATA / name).read_text(encoding="utf-8").splitlines()))
    years = [int(row[0]) for row in rows[1:]]
    return rows[0][1:], years, np.array([row[1:] for row in rows[1:]], dtype=np.float64)


def panel_of(name, state, first_year):
    names, years, values = wide(name)
    place = names.index(state)
    donors = np.delete(values, place, axis=1)
    others = [each for each in names if each != state]
    return others, Panel(values[:, [place]], donors, years.index(first_year))


def plain(panel):
    target, donors = panel.history()
    weights = Simplex(donors).weights(target)
    return weights, panel.mean - panel.donors @ weights


def test_proposition_99_is_that_of_the_papers():
    names, panel = panel_of("california_smoking.csv", "California", 1989)
    weights, gap = plain(panel)
    # Abadie, Diamond and Hainmueller (2010): 1989 to 2000 almost 20 packs a year, 26 in 2000;
    # Arkhangelsky et al. (2021), table 1: synthetic control -19.6, SDID -15.6, DID -27.3.
    assert gap[panel.before :].mean() == pytest.approx(-19.6, abs=0.2)
    assert gap[-1] == pytest.approx(-26.0, abs=1.0)
    heaviest = [names[place] for place in np.argsort(-weights)[:5]]
    assert heaviest == ["Utah", "Montana", "Nevada", "Connecticut", "New Hampshire"]
    assert doubly.effect(panel) == pytest.approx(-15.6, abs=0.15)
    differences = panel.mean - panel.donors.mean(axis=1)
    assert differences[19:].mean() - differences[:19].mean() == pytest.approx(-27.3, abs=0.06)


def test_weights_over_time_are_the_published_ones():
    names, panel = panel_of("california_smoking.csv", "California", 1989)
    found = doubly.double_weights(panel)
    # synthdid's vignette: 1986, 1987 and 1988, and the donors' heaviest.
    np.testing.assert_allclose(found.periods[-3:], [0.366, 0.206, 0.427], atol=0.002)
    for state, weight in (("Nevada", 0.124), ("New Hampshire", 0.105), ("Connecticut", 0.078)):
        assert found.donors[names.index(state)] == pytest.approx(weight, abs=0.002)


def test_sdid_has_the_published_standard_error():
    _, panel = panel_of("california_smoking.csv", "California", 1989)
    found = doubly.estimate(panel, np.random.default_rng(1), draws=200)
    # 8.4 in the paper, from placebos that were drawn at random there too.
    assert found.standard_error == pytest.approx(8.4, abs=2.0)


def test_texas_prisons_fit_better_than_published_and_say_the_same():
    names, panel = panel_of("texas_prisons.csv", "Texas", 1994)
    _, gap = plain(panel)
    # R's Synth on the Mixtape's data: these weights, and a mean squared error of 2,015,107.
    published = np.zeros(len(names))
    for state, weight in (("California", 0.3415), ("Florida", 0.2981), ("Louisiana", 0.3600)):
        published[names.index(state)] = weight
    theirs = panel.mean - panel.donors @ published
    assert (theirs[:9] ** 2).mean() == pytest.approx(2_015_107, rel=0.01)
    assert (gap[:9] ** 2).mean() < (theirs[:9] ** 2).mean()
    assert gap[9:].mean() == pytest.approx(theirs[9:].mean(), rel=0.03)


def test_geolift_walkthrough(walkthrough):
    found = measure(walkthrough)
    assert found.answer.value == pytest.approx(155.556, abs=0.001)
    assert found.p_value <= 0.05
    assert found.answer.low > 0.0
    assert found.answer.low < 155.6 < found.answer.high
    assert found.imbalance == pytest.approx(0.1636, abs=1e-4)
