"""Arms beside control: moments by arm become comparisons, judged together by Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from msgspec import Struct

from liftwerk.experiments.reading import Answer, Comparison, Role
from liftwerk.stats.difference import KINDS, Contrast, Difference, contrast, together
from liftwerk.stats.difference.methods import MethodName
from liftwerk.stats.estimate import Estimate, Unknown
from liftwerk.stats.moments import Moments

Arms: TypeAlias = Mapping[str, Sequence[Moments]]
"""Arm -> its moments in each stratum; of all columns that are read."""

FARTHEST = 64.0
"""Nobody waits for more times as many units as there are."""

HALVINGS = 12
"""Of the logarithm of that number, when it is looked for."""


class Question(Struct, frozen=True):
    """One metric as an experiment reads it.

    Attributes
    ----------
    metric : str
    role : str
        ``primary`` or ``counter``.
    kind : str
        ``mean``, ``proportion`` or ``ratio``.
    unit : str
    up : bool
        Whether more of it is better.
    columns : tuple of int
        Where its outcome is among the moments' columns, then its covariates.
    margin : float or None
        Of a counter-metric.
    """

    metric: str
    role: Role
    kind: str
    unit: str
    up: bool
    columns: tuple[int, ...]
    margin: float | None = None


class How(Struct, frozen=True):
    """By which method all is read.

    Attributes
    ----------
    method : str
        ``anytime`` or ``fixed``.
    level : float
    tuned_for : float
        Units of two arms together with which an anytime interval shall be narrowest.
    effect : float
        The smallest change that would matter, as a part of control's mean.
    """

    method: MethodName
    level: float
    tuned_for: float
    effect: float


def outcomes(kind: str) -> int:
    """Return how many columns a kind of metric is made of; covariates come after them."""
    return KINDS[kind].columns


def compare(questions: Sequence[Question], arms: Arms, how: How) -> tuple[Comparison, ...]:
    """Compare every arm with control by every metric.

    Primary metrics times arms are one family for Holm, counter-metrics times arms another.

    Parameters
    ----------
    questions : sequence of Question
    arms : mapping of str to sequence of Moments
        Control first.
    how : How

    Returns
    -------
    tuple of Comparison
        In the order of the questions, each with its arms.
    """
    return compare_together(questions, [arms], how)[0]


def compare_together(
    questions: Sequence[Question], groups: Sequence[Arms], how: How
) -> list[tuple[Comparison, ...]]:
    """Compare arms in several groups of units, judged together: one family over all groups.

    Parameters
    ----------
    questions : sequence of Question
    groups : sequence of mapping of str to sequence of Moments
        Of the same arms, control first.
    how : How

    Returns
    -------
    list of tuple of Comparison
        For each group what `compare` gives.
    """
    control, *treated = groups[0]
    asked = [(arms, question, arm) for arms in groups for question in questions for arm in treated]
    found = [_contrast(question, arms[control], arms[arm], how) for arms, question, arm in asked]
    answers = _by_role([question for _, question, _ in asked], found, how)
    made = [
        _comparison(question, arm, each, answer)
        for (_, question, arm), each, answer in zip(asked, found, answers, strict=True)
    ]
    size = len(made) // len(groups)
    return [tuple(made[start : start + size]) for start in range(0, len(made), size)]


def foresee(
    comparisons: Sequence[Comparison], questions: Sequence[Question], arms: Arms, how: How
) -> tuple[Comparison, ...]:
    """Add to what is undecided after how many more units it would be decided.

    Parameters
    ----------
    comparisons : sequence of Comparison
        From `compare` of the same.
    questions, arms, how : as for `compare`

    Returns
    -------
    tuple of Comparison
    """
    asked = {question.metric: question for question in questions}
    control = arms[next(iter(arms))]
    made = []
    for one in comparisons:
        more = None
        if isinstance(one.absolute, Estimate) and not decided(one, how.effect):
            level = one.absolute.level
            times = _times_until(asked[one.metric], control, arms[one.arm], level, how)
            if times is not None:
                more = round(sum(part.n for parts in arms.values() for part in parts) * (times - 1))
        made.append(msgspec.structs.replace(one, more=more))
    return tuple(made)


def decided(one: Comparison, effect: float) -> bool:
    """Say whether no more units are needed for what is asked.

    Parameters
    ----------
    one : Comparison
    effect : float
        The smallest change that would matter, as a part of control's mean.
    """
    if one.role == "counter":
        return one.harmless is not None
    return one.answer in ("better", "worse") or too_small(one.relative, effect)


def too_small(relative: Estimate | Unknown, effect: float) -> bool:
    """Say whether a change that would matter is ruled out, both ways."""
    if isinstance(relative, Unknown):
        return False
    return -effect < relative.low and relative.high < effect


def _contrast(
    question: Question,
    control: Sequence[Moments],
    treated: Sequence[Moments],
    how: How,
) -> Contrast | Unknown:
    return contrast(
        question.kind,
        [one.take(question.columns) for one in control],
        [one.take(question.columns) for one in treated],
        method=how.method,
        tuned_for=how.tuned_for,
        level=how.level,
    )


def _by_role(
    questions: Sequence[Question], found: Sequence[Contrast | Unknown], how: How
) -> list[Difference]:
    answers: dict[int, Difference] = {}
    for role in ("primary", "counter"):
        places = [place for place, one in enumerate(questions) if one.role == role]
        read = together([found[place] for place in places], how.level, how.method)
        answers |= dict(zip(places, read, strict=True))
    return [answers[place] for place in range(len(questions))]


def _comparison(
    question: Question,
    arm: str,
    each: Contrast | Unknown,
    answer: Difference,
) -> Comparison:
    p_value = None
    values: tuple[float | None, float | None] = (None, None)
    if isinstance(each, Contrast):
        p_value = each.p_value
        values = (each.control, each.treated)
    harmless = None
    if question.margin is not None:
        harmless = harmless_within(answer.relative, question.margin, question.up)
    return Comparison(
        metric=question.metric,
        arm=arm,
        role=question.role,
        unit=question.unit,
        up=question.up,
        control=values[0],
        treated=values[1],
        absolute=answer.absolute,
        relative=answer.relative,
        p_value=p_value,
        adjusted=answer.p_value,
        answer=answer_of(answer.absolute, question.up),
        margin=question.margin,
        harmless=harmless,
        kind=question.kind,
    )


def answer_of(figure: Estimate | Unknown, up: bool) -> Answer:
    """Say what the interval of a difference means; `up` where more is better."""
    if isinstance(figure, Unknown):
        return "unknown"
    if figure.low > 0:
        return "better" if up else "worse"
    if figure.high < 0:
        return "worse" if up else "better"
    return "unclear"


def harmless_within(relative: Estimate | Unknown, margin: float, up: bool) -> bool | None:
    """Say whether a metric gets worse by less than the margin; None where that is open."""
    if isinstance(relative, Unknown):
        return None
    low, high = relative.low, relative.high
    if not up:
        low, high = -relative.high, -relative.low
    if low > -margin:
        return True
    if high < -margin:
        return False
    return None


def _times_until(
    question: Question,
    control: Sequence[Moments],
    treated: Sequence[Moments],
    level: float,
    how: How,
) -> float | None:
    """Find with how many times as many units it would be decided if what is seen stays.

    The same moments are read as if there were so many times as many units, at the level that
    Holm read them at.
    """

    def is_decided(times: float) -> bool:
        each = _contrast(question, _times(control, times), _times(treated, times), how)
        if isinstance(each, Unknown):
            return False
        read = each.read(level)
        if question.margin is not None:
            return harmless_within(read.relative, question.margin, question.up) is not None
        clear = answer_of(read.absolute, question.up) in ("better", "worse")
        return clear or too_small(read.relative, how.effect)

    if not is_decided(FARTHEST):
        return None
    low, high = 0.0, float(np.log(FARTHEST))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if is_decided(float(np.exp(middle))):
            high = middle
        else:
            low = middle
    return float(np.exp(high))


def _times(strata: Sequence[Moments], times: float) -> list[Moments]:
    """Read moments as if there were so many times as many units like these."""
    made = []
    for one in strata:
        cubes = None
        if one.cubes is not None:
            cubes = one.cubes * times
        made.append(Moments(round(one.n * times), one.means, one.products * times, cubes))
    return made
