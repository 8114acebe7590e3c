"""What a reading shows, as the effect register keeps it."""

from __future__ import annotations

from liftwerk.amounts import whose
from liftwerk.clock import Clock
from liftwerk.experiments.effects import Effect
from liftwerk.experiments.reading import Comparison, Reading, of_role
from liftwerk.experiments.state import State
from liftwerk.stats.estimate import Estimate, Unknown


def conclusions(found: Reading, state: State, clock: Clock) -> list[Effect]:
    """Write what a reading shows as the effect register keeps it.

    Parameters
    ----------
    found : Reading
        Of an experiment that was stopped.
    state : State
    clock : Clock

    Returns
    -------
    list of Effect
        One for each primary metric and arm. What cannot be trusted is no effect: it is kept as
        unknown, with why.
    """
    assert found.started is not None
    assert state.stopped is not None
    many = len(found.arms) > 2
    made = []
    for one in of_role(found.comparisons, "primary"):
        subject = f"experiment:{found.experiment}"
        if many:
            subject = f"{subject}/{one.arm}"
        figure = one.absolute
        if found.verdict.advice == "do not trust":
            figure = Unknown(found.verdict.words, "a new experiment")
        made.append(
            Effect(
                subject=subject,
                metric=one.metric,
                start=found.started,
                end=max(state.stopped, found.started),
                estimate=figure,
                unit=unit_of(one, found.unit),
                method=method_of(figure),
                source=f"experiment:{found.experiment}",
                at=clock.now(),
            )
        )
    return made


def unit_of(one: Comparison, unit: str) -> str:
    """Say what a figure of the register is counted in: ``EUR a customer``."""
    return f"{one.unit} {whose(one.kind, unit)}".strip()


def method_of(figure: Estimate | Unknown) -> str:
    """Say how a figure was estimated."""
    if isinstance(figure, Unknown):
        return "none"
    return figure.method
