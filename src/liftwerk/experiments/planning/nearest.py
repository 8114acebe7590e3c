"""The nearest plan that could work, where the one that is asked for cannot: the smallest change."""

from __future__ import annotations

import math

import msgspec

from liftwerk.experiments.planning.intake import Intake
from liftwerk.experiments.planning.plan import HORIZON, Change
from liftwerk.experiments.planning.question import (
    Question,
    days_needed,
    detectable_by,
    units_by,
    with_arms,
)

LARGEST = 1.0
"""No effect above doubling is proposed: who expects that needs no plan."""


def nearest(question: Question, intake: Intake, longest: int, holdout: bool) -> tuple[Change, ...]:
    """List the changes that alone would make a plan possible within some days.

    Parameters
    ----------
    question : Question
        One that is not answered within these days.
    intake : Intake
    longest : int
        Days on which units may enter.
    holdout : bool
        Whether control is a holdout, of which a larger part can be kept.

    Returns
    -------
    tuple of Change
        The smallest first; nothing where no single change would do.
    """
    found = [
        _longer(question, intake, longest),
        _larger_effect(question, intake, longest),
        _fewer_arms(question, intake, longest),
    ]
    if holdout:
        found.append(_larger_holdout(question, intake, longest))
    else:
        found.append(_more_units(question, intake, longest))
    kept = [one for one in found if one is not None]
    return tuple(sorted(kept, key=lambda one: one.times))


def _longer(question: Question, intake: Intake, longest: int) -> Change | None:
    days = days_needed(question, intake, HORIZON)
    if days is None:
        return None
    words = f"let units enter on {days} days: --within {days}d"
    return Change("days", float(days), days / longest, words)


def _larger_effect(question: Question, intake: Intake, longest: int) -> Change | None:
    return larger_effect(question.effect, detectable_by(question, intake, longest))


def _more_units(question: Question, intake: Intake, longest: int) -> Change | None:
    needed = units_by(question, intake, longest) / intake.by(longest)
    if needed > question.most or needed <= question.share:
        return None
    share = min(rounded_up(needed), question.most)
    words = f"let a share of {percent(share)} of all units enter"
    return Change("share", share, share / question.share, words)


def _larger_holdout(question: Question, intake: Intake, longest: int) -> Change | None:
    """Find the smallest part that has to be kept out; more than a half only makes it worse."""
    control = next(iter(question.arms))
    low, high = question.arms[control], 0.5
    if low >= high or not _works(_held(question, high), intake, longest):
        return None
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        if _works(_held(question, middle), intake, longest):
            high = middle
        else:
            low = middle
    share = min(rounded_up(high), 0.5)
    words = f"keep {percent(share)} out"
    return Change("control", share, share / question.arms[control], words)


def _held(question: Question, part: float) -> Question:
    control, *rest = question.arms
    left = (1.0 - part) / (1.0 - question.arms[control])
    arms = {control: part, **{arm: left * question.arms[arm] for arm in rest}}
    return msgspec.structs.replace(question, arms=arms)


def _fewer_arms(question: Question, intake: Intake, longest: int) -> Change | None:
    control, *treated = question.arms
    for many in range(len(treated) - 1, 0, -1):
        kept = {arm: question.arms[arm] for arm in (control, *treated[:many])}
        if _works(with_arms(question, kept), intake, longest):
            dropped = ", ".join(treated[many:])
            words = f"compare {many + 1} arms, without {dropped}"
            return Change("arms", many + 1.0, len(question.arms) / (many + 1.0), words)
    return None


def _works(question: Question, intake: Intake, longest: int) -> bool:
    return units_by(question, intake, longest) <= question.share * intake.by(longest)


def larger_effect(effect: float, least: float) -> Change | None:
    """Propose the effect that is seen, where it is one that anybody could expect.

    Parameters
    ----------
    effect : float
        That is asked for.
    least : float
        That is seen, of the same sign; infinite where none is.
    """
    if not math.isfinite(least) or abs(least) > LARGEST:
        return None
    rounded = math.copysign(rounded_up(abs(least)), least)
    words = f"look for an effect of {percent(rounded)}"
    return Change("effect", rounded, rounded / effect, words)


def rounded_up(part: float) -> float:
    """Round up to two digits, so that what is proposed works.

    Examples
    --------
    >>> rounded_up(0.0341)
    0.035
    """
    step = 10.0 ** (math.floor(math.log10(part)) - 1)
    return math.ceil(part / step - 1e-9) * step


def percent(part: float) -> str:
    """Write a part as people do.

    Examples
    --------
    >>> percent(0.035)
    '3.5%'
    """
    return f"{100.0 * part:.3g}%"
