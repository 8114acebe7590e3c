"""What a plan has to answer, and the arithmetic of the answer: days, units, detectable effects."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from liftwerk.experiments.planning.intake import Intake
from liftwerk.experiments.planning.judged import first_step
from liftwerk.experiments.planning.plan import HORIZON
from liftwerk.stats.difference.methods import MethodName
from liftwerk.stats.power import Baseline, Looks, Split, detectable, power, units_needed


class Question(Struct, frozen=True):
    """Which effect is to be seen, by which metric, among whom.

    Attributes
    ----------
    baseline : Baseline
        Of the metric, without the effect.
    effect : float
        As a part of the baseline's value; below 0 for a decrease.
    arms : dict of str to float
        The parts of the entering units; control first.
    share : float
        The part of all units that may enter.
    most : float
        The largest that this part could be made.
    family : int
        Comparisons that are judged together: each is planned at the level of Holm's first step.
    method : str
    level, wanted : float
        Of the interval; the power.
    """

    baseline: Baseline
    effect: float
    arms: dict[str, float]
    share: float = 1.0
    most: float = 1.0
    family: int = 1
    method: MethodName = "anytime"
    level: float = 0.95
    wanted: float = 0.8

    @property
    def absolute(self) -> float:
        """The effect in the metric's unit."""
        return self.effect * abs(self.baseline.value)

    @property
    def split(self) -> Split:
        """Control, and the smallest of the other arms: the comparison that takes longest."""
        control, *treated = self.arms.values()
        return Split(control, min(treated))

    @property
    def looks(self) -> Looks:
        """How one comparison is read, with the usual number of looks."""
        return Looks(self.method, first_step(self.level, self.family))

    def looks_by(self, intake: Intake, day: int) -> Looks:
        """How it is read on every day up to one."""
        return self.looks.at_days(intake.units[:day])


def power_by(question: Question, intake: Intake, day: int) -> float:
    """Say how likely the effect is seen when units enter until the end of a day."""
    units = question.share * intake.by(day)
    if not _enough(question, units):
        return 0.0
    looks = question.looks_by(intake, day)
    return power(question.baseline, question.absolute, units, question.split, looks)


def units_by(question: Question, intake: Intake, day: int) -> float:
    """Say how many units would have to enter until the end of a day."""
    looks = question.looks_by(intake, day)
    told = (question.baseline, question.absolute, question.wanted, question.split, looks)
    return units_needed(*told)


def detectable_by(question: Question, intake: Intake, day: int) -> float:
    """Say which effect, as a part of the baseline, is just seen when units enter until a day."""
    units = question.share * intake.by(day)
    sign = 1
    if question.effect < 0.0:
        sign = -1
    if question.baseline.value == 0.0 or not _enough(question, units):
        return math.inf * sign
    looks = question.looks_by(intake, day)
    told = (question.baseline, units, question.wanted, question.split, looks, sign)
    return detectable(*told) / abs(question.baseline.value)


def days_needed(question: Question, intake: Intake, longest: int = HORIZON) -> int | None:
    """Say on how many days units have to enter; None where not even so many would do.

    Examples
    --------
    >>> asked = Question(Baseline.proportion(0.05), 0.1, {"control": 0.5, "new": 0.5})
    >>> days_needed(asked, Intake.steady(5_000.0))
    22
    >>> days_needed(asked, Intake.steady(50.0)) is None
    True
    """
    low, high = 0, longest
    if power_by(question, intake, high) < question.wanted:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if power_by(question, intake, middle) < question.wanted:
            low = middle
        else:
            high = middle
    return high


def with_arms(question: Question, kept: Mapping[str, float]) -> Question:
    """Return the question with only some of the arms, which share what the others had."""
    whole = sum(kept.values())
    arms = {arm: part / whole for arm, part in kept.items()}
    many = max(len(question.arms) - 1, 1)
    family = max(question.family * (len(arms) - 1) // many, 1)
    return msgspec.structs.replace(question, arms=arms, family=family)


def _enough(question: Question, units: float) -> bool:
    """Say whether both arms have units that can differ."""
    return units * min(question.split.control, question.split.treated) >= 2.0
