"""What the cells of a geo test are planned to see is what readings of them then see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liftwerk.experiments.geo.power import Tries, days_needed, has_room
from liftwerk.stats.synthetic_control import Panel
from liftwerk.stats.synthetic_control.augmented import choose_penalty, fit
from liftwerk.stats.synthetic_control.conformal import infer
from tests.experiments.geo.planned import run


@pytest.mark.slow
def test_tests_as_planned_see_what_the_plan_says():
    # Half of them and more, so that neither a plan of nothing nor one of everything would pass.
    runs = [run("nothing_works", seed, 0.04, 7, 12) for seed in (101, 102, 103)]
    planned, seen = np.mean([one.planned for one in runs]), sum(one.seen for one in runs)
    assert 0.45 < planned < 0.85
    # 36 readings, and windows of three histories, of which neighbours overlap.
    assert abs(seen / 36 - planned) < 3.3 * math.sqrt(0.25 / 36 + 0.25 / 60)


def test_each_window_is_read_as_a_test_would_be_with_as_much_before_it(draw):
    # Markets here do not drift apart in any window: nothing is widened.
    history = draw("nothing_works", 8, markets=10, treated=1, before=80, during=10)[1]
    found = Tries(history, range(2, 10), 10).of([0, 1], np.array([0.03, 0.045, 0.5]), 0.95)
    assert found.windows == 30
    seen = []
    for end in np.linspace(10, 90, 30).round().astype(int):
        turned = np.roll(history.values, 90 - end, axis=0)
        treated = turned[:, :2].copy()
        treated[80:] *= 1.045
        panel = Panel(treated, turned[:, 2:], before=80)
        penalty = choose_penalty(Panel(turned[:, :2], turned[:, 2:], before=80))
        effect = fit(panel, penalty).effect(80)
        seen.append(infer(panel, penalty, effect).p_value <= 0.05)
    assert 0.2 < found.powers[1] < 0.95
    assert found.powers[1] == pytest.approx(np.mean(seen))
    assert list(found.powers) == sorted(found.powers)
    assert found.powers[-1] == 1.0
    assert 0.0 < found.explained < 1.0


def test_room_is_for_two_windows_that_do_not_overlap(draw):
    history = draw("nothing_works", 7, markets=10, treated=1, before=56, during=14)[1]
    assert days_needed(14) == 70
    assert has_room(history, 14)
    assert not has_room(history, 15)
