from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from liftwerk.simulation.experiments import Holdout, draw_holdout
from liftwerk.stats.difference import difference
from liftwerk.stats.difference.methods.anytime import Anytime
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.holdout import holdout
from liftwerk.stats.moments import Moments

WEEKS = 12


def looks(drawn: Holdout) -> list[tuple[Moments, Moments]]:
    total = drawn.spend.cumsum(axis=1)
    made = []
    for week in range(drawn.spend.shape[1]):
        here = drawn.joined <= week
        control, treated = (
            Moments.of([total[rows, week], drawn.spend[rows, week]])
            for rows in (here & ~drawn.treated, here & drawn.treated)
        )
        made.append((control, treated))
    return made


def draw(effect: float = 0.5, **options) -> Holdout:
    rng = np.random.default_rng(3)
    return draw_holdout(8000, WEEKS, rng, effect=effect, share=0.8, **options)


def test_every_look_is_the_difference_of_totals_so_far():
    made = looks(draw())
    answers = holdout(made, horizon=WEEKS)
    for look, answer in zip(made, answers, strict=True):
        held, treated = (arm.take([0]) for arm in look)
        plain = difference("mean", held, treated, method="fixed")
        assert isinstance(answer.absolute, Estimate)
        assert isinstance(plain.absolute, Estimate)
        assert answer.absolute.value == pytest.approx(plain.absolute.value)
        assert answer.absolute.standard_error == pytest.approx(plain.absolute.standard_error)
        assert answer.absolute.high > plain.absolute.high
        assert (answer.absolute.low > 0.0) == (answer.p_value <= 0.05)
    assert answers[-1].p_value < 0.05
    clocks = [
        (sum(arm.n for arm in look) * answer.absolute.standard_error) ** 2
        for look, answer in zip(made, answers, strict=True)
    ]
    law = Anytime(np.array(clocks), clocks[0] * WEEKS**1.5, correlated=True)
    reaches = [
        (answer.absolute.high - answer.absolute.value) / answer.absolute.standard_error
        for answer in answers
    ]
    np.testing.assert_allclose(reaches, law.critical(0.95))


def test_later_looks_do_not_change_earlier_answers():
    made = looks(draw(joiners=0.3))
    assert holdout(made, horizon=WEEKS)[:5] == holdout(made[:5], horizon=WEEKS)


def test_customers_who_buy_once_are_seen_to_break_the_condition():
    answers = holdout(looks(draw(pattern="once")), horizon=WEEKS)
    reasons = [each.absolute.reason for each in answers if isinstance(each.absolute, Unknown)]
    assert any("spend less than others since" in reason for reason in reasons)
    assert isinstance(answers[-1].absolute, Unknown)
    assert answers[-1].p_value is None


def test_two_one_sided_boundaries_are_hardly_wider_than_a_two_sided_one():
    clock = np.geomspace(0.01, 100.0, 50)
    one = Anytime(clock, 1.0, correlated=True).critical(0.95)
    both = Anytime(clock, 1.0).critical(0.95)
    assert (one > both).all()
    assert (one < 1.002 * both).all()


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("freedom", [None, 30.0])
@pytest.mark.parametrize("correlated", [False, True])
def test_the_p_value_at_the_boundary_is_alpha(level, freedom, correlated):
    clock = np.array([0.05, 1.0, 20.0])
    law = Anytime(clock, 1.0, 0.95, freedom, correlated)
    np.testing.assert_allclose(law.p_value(law.critical(level)), 1.0 - level, rtol=1e-9)


def test_the_boundary_is_howards():
    """Howard et al. (2021), eq. 15: one-sided mixtures, each with half of the error."""
    rho = Anytime(1.0, 1.0)._scaled()
    v = np.array([0.1, 1.0, 7.0])
    reach = Anytime(v, 1.0, correlated=True).critical(0.95) * np.sqrt(v)
    weight = 1.0 / rho
    from_paper = (
        2.0
        * np.sqrt(weight / (v + weight))
        * np.exp(reach**2 / (2.0 * (v + weight)))
        * ndtr(reach / np.sqrt(v + weight))
    )
    np.testing.assert_allclose(from_paper, 1.0 / 0.025, rtol=1e-9)
