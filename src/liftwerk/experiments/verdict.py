"""From figures and checks to advice: ship, stop, keep running, do not trust.

The first metric judges; a counter-metric can only hold back. Whoever reads it is tired: one
sentence with the figure, one with what would change it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from liftwerk.amounts import number, ranged, share, whose_difference
from liftwerk.experiments.compare import too_small
from liftwerk.experiments.reading import Check, Comparison, Counted, Verdict
from liftwerk.stats.estimate import Estimate, Unknown

SPOILS = (
    "sample ratio",
    "empty arm",
    "A/A on history",
    "carry-over",
    "registration",
    "placebo in time",
    "placebo in space",
)
"""Checks whose alarm means that the figures are not about the arms."""


ANOTHER = "A new one, longer or larger, may decide it: plan it first."


class Asked(Struct, frozen=True):
    """What a verdict rests on beside the figures.

    Attributes
    ----------
    unit : str
        Who gets an arm.
    effect : float
        The smallest change that would matter, as a part of control's mean.
    fixed : bool
        Whether it may be read only once.
    planned : int or None
        Units of all arms that were planned for; None where nothing was planned.
    first : str or None
        The day on which the first units will have had their whole time.
    wait : str
        Until when a reading that is to be made once has to wait; empty where it need not.
    over : bool
        Whether nothing more comes in: what is undecided stays so.
    """

    unit: str
    effect: float
    fixed: bool
    planned: int | None = None
    first: str | None = None
    wait: str = ""
    over: bool = False


def judge(
    arms: Sequence[Counted],
    comparisons: Sequence[Comparison],
    checks: Sequence[Check],
    asked: Asked,
) -> Verdict:
    """Say what to do.

    Parameters
    ----------
    arms : sequence of Counted
        Control first.
    comparisons : sequence of Comparison
        Of all units, primary metrics first, in the declared order.
    checks : sequence of Check
    asked : Asked

    Returns
    -------
    Verdict

    Examples
    --------
    >>> arms = [Counted("a", "A", 0.5, 9, 9, 9), Counted("b", "B", 0.5, 9, 9, 9)]
    >>> seen = Estimate(0.42, 0.11, 0.73, 0.1, 18, "difference in means")
    >>> part = Estimate(0.2, 0.1, 0.3, 0.05, 18, "difference in means")
    >>> margin = Comparison("margin", "b", "primary", "EUR", True, 2.1, 2.52, seen, part,
    ...                     0.01, 0.01, "better")
    >>> judge(arms, [margin], [], Asked("customer", 0.05, False)).words
    'Ship B: margin EUR +0.420 (+0.110 to +0.730) a customer.'
    """
    spoilt = [check for check in checks if check.name in SPOILS and check.state == "alarm"]
    if spoilt:
        return _spoilt(spoilt)
    matured = sum(arm.matured for arm in arms)
    if matured == 0:
        return _nothing_yet(asked)
    if asked.wait:
        return Verdict("keep running", f"Keep running: {asked.wait}.", "Its intervals hold once.")
    if asked.fixed and asked.planned is not None and matured < asked.planned:
        return _incomplete(matured, asked.planned, asked.over)
    labels = {arm.arm: arm.label for arm in arms}
    found = {
        arm.arm: _of_arm(arm.label, [one for one in comparisons if one.arm == arm.arm], asked)
        for arm in arms[1:]
    }
    for advice in ("ship", "keep running", "unclear", "unknown"):
        told = {arm: verdict for arm, verdict in found.items() if verdict.advice == advice}
        if told:
            best = max(told, key=lambda arm: _gain(_first(comparisons, arm)))
            if advice == "unclear":  # nothing is to be done about any of them
                words = " ".join(verdict.words for verdict in told.values())
                told[best] = Verdict(advice, words, told[best].change)
            return _with_others(told[best], best, found, labels)
    words = " ".join(verdict.words for verdict in found.values())
    return Verdict("stop", words, next(iter(found.values())).change)


def _spoilt(checks: Sequence[Check]) -> Verdict:
    words = " ".join(check.words for check in checks)
    change = (
        "Find the cause and start again under another name: what was collected cannot be mended."
    )
    return Verdict("do not trust", f"Do not trust it. {words}", change)


def _nothing_yet(asked: Asked) -> Verdict:
    change = "Units have to be assigned first."
    if asked.first is not None:
        change = f"The first units will have had their whole time on {asked.first}."
    return Verdict("keep running", "Keep running: nothing can be said yet.", change)


def _incomplete(matured: int, planned: int, over: bool) -> Verdict:
    if over:
        words = (
            f"Not decided: it was to be read once, with {number(planned)} units, and was stopped"
            f" with {number(matured)}."
        )
        return Verdict("unclear", words, ANOTHER)
    words = (
        f"Keep running: it may be read once, when {number(planned)} units have had their whole"
        f" time; {number(matured)} have."
    )
    change = 'With method = "anytime" it might be looked at on any day.'
    return Verdict("keep running", words, change)


def _of_arm(label: str, comparisons: Sequence[Comparison], asked: Asked) -> Verdict:
    """Say what to do about one arm."""
    judged = comparisons[0]
    if isinstance(judged.absolute, Unknown):
        words = f"{judged.metric} of {label} is unknown, because {judged.absolute.reason}."
        clear = [one for one in comparisons if one.answer in ("better", "worse")]
        if clear:
            words = f"{words} Known is: {_list(clear, asked)}."
        return Verdict("unknown", words, f"It would take {judged.absolute.needs}.")
    told = _told(judged, asked)
    hurt = [one for one in comparisons if one.harmless is False]
    open_ = [one for one in comparisons if one.role == "counter" and one.harmless is None]
    if hurt:
        words = f"Stop {label}: it hurts {_list(hurt, asked)}, more than allowed."
        return Verdict("stop", words, "Nothing would: the whole interval is beyond the margin.")
    if judged.answer == "worse":
        change = f"Only if the interval of {judged.metric} came to include 0."
        return Verdict("stop", f"Stop {label}: {told}.", change)
    if judged.answer == "better" and open_:
        unsure = f"{told}, but it is not yet sure that {_margins(open_)}"
        if asked.over:
            return Verdict("unclear", f"Not decided for {label}: {unsure}.", ANOTHER)
        words = f"Keep running {label}: {unsure}."
        return Verdict("keep running", words, _after(open_))
    if judged.answer == "better":
        change = f"It would change if the interval of {judged.metric} came to include 0."
        return Verdict("ship", f"Ship {label}: {told}.", change)
    if too_small(judged.relative, asked.effect):
        small = f"whatever it does to {judged.metric} is less than the {share(asked.effect)} that"
        words = f"Stop {label}: {small} would matter: {told}."
        change = "It would change if a smaller effect were worth acting on."
        return Verdict("stop", words, change)
    if asked.over:
        return Verdict("unclear", f"Not decided for {label}: {told}.", ANOTHER)
    return Verdict("keep running", f"Keep running {label}: {told}.", _after([judged]))


def _told(one: Comparison, asked: Asked) -> str:
    assert isinstance(one.absolute, Estimate)  # an unknown one was told before
    found = one.absolute
    amount = ranged(found.value, found.low, found.high, one.unit)
    return f"{one.metric} {amount} {whose_difference(one.kind, asked.unit)}".rstrip()


def _margins(open_: Sequence[Comparison]) -> str:
    parts = []
    for one in open_:
        assert one.margin is not None  # each counter-metric has one
        parts.append(f"{one.metric} gets at most {share(one.margin)} worse")
    return " and ".join(parts)


def _list(hurt: Sequence[Comparison], asked: Asked) -> str:
    return " and ".join(_told(one, asked) for one in hurt)


def _after(asked_of: Sequence[Comparison]) -> str:
    """Say after how many more units it would be decided."""
    needs = [one.more for one in asked_of]
    if any(more is None for more in needs) or not needs:
        return "If what is seen stays, no reasonable number of units would decide it."
    most = max(more for more in needs if more is not None)
    return (
        f"If what is seen stays, it would be decided after about {number(_round(most))} more units."
    )


def _round(many: int) -> int:
    """Keep two figures: the number is a guess.

    Examples
    --------
    >>> _round(12_345), _round(7)
    (12000, 7)
    """
    return int(float(f"{many:.2g}"))


def _first(comparisons: Sequence[Comparison], arm: str) -> Comparison:
    return next(one for one in comparisons if one.arm == arm)


def _gain(one: Comparison) -> float:
    """Return how much better an arm is by its first metric."""
    if isinstance(one.absolute, Unknown):
        return float("-inf")
    if one.up:
        return one.absolute.value
    return -one.absolute.value


def _with_others(
    told: Verdict, best: str, found: dict[str, Verdict], labels: dict[str, str]
) -> Verdict:
    """Add what is advised about the arms that are not spoken of."""
    stopped = [
        labels[arm] for arm, verdict in found.items() if verdict.advice == "stop" and arm != best
    ]
    words = told.words
    if stopped:
        words = f"{words} Stop {' and '.join(stopped)}."
    return Verdict(told.advice, words, told.change, best)
