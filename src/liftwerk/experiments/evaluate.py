"""Which action one unit gets at one placement, now: looked up nowhere, and the same every time.

Control is the answer for whoever is held out, has not entered, did not agree, or asks where nothing
runs; a unit that enters gets its arm's action, and testers the arm that they are named for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from liftwerk.errors import InputError, UnknownName, did_you_mean
from liftwerk.events.identifiers import leaf_key
from liftwerk.experiments.assign import held_out, unit_text
from liftwerk.experiments.board import Board, Running
from liftwerk.experiments.draw import slot
from liftwerk.experiments.subject import WHERE, NoTargetingKey, Subject

Reason = Literal["SPLIT", "TARGETING_MATCH", "STATIC", "DISABLED"]
"""OpenFeature's words: drawn; named as a tester; nothing to draw; was stopped."""


class Unit(Struct, frozen=True):
    """Who or what gets an arm.

    Attributes
    ----------
    text : str
        What is hashed.
    written : str
        The identifier in its normalised spelling; what GrowthBook's hash takes.
    leaves : dict of str to str
        Namespace -> leaf key in hexadecimal digits: whom it is told of.
    session : str or None
    """

    text: str
    written: str
    leaves: dict[str, str] = {}
    session: str | None = None


class Answer(Struct, frozen=True):
    """What one unit gets.

    Attributes
    ----------
    placement : str
    value : str
        The action.
    variant : str
        The arm, or the control action where it has none.
    reason : str
    experiment : str or None
        The experiment whose arm it is: then it is told.
    probability : float
        Of the arm.
    unit : Unit or None
    period : int
    """

    placement: str
    value: str
    variant: str
    reason: Reason
    experiment: str | None = None
    probability: float = 1.0
    unit: Unit | None = None
    period: int = 0

    @property
    def tester(self) -> bool:
        """Whether the arm was forced."""
        return self.reason == "TARGETING_MATCH"


def evaluate(board: Board, placement: str, subject: Subject, now: datetime) -> Answer:
    """Say what one unit gets at a placement.

    Parameters
    ----------
    board : Board
    placement : str
    subject : Subject
    now : datetime

    Returns
    -------
    Answer

    Raises
    ------
    UnknownName
        If no such placement is declared.
    NoTargetingKey
        If an experiment runs there, and nobody is named.
    InputError
        If the context is not what it has to be.
    """
    if placement not in board.controls:
        hint = did_you_mean(placement, board.controls)
        raise UnknownName(f"no placement {placement!r}", "[placements]", hint)
    for running in board.running.get(placement, ()):
        answer = _arm(running, placement, subject, now)
        if answer is not None:
            return answer
    return control_answer(board, placement)


def control_answer(board: Board, placement: str) -> Answer:
    """Return the answer for whoever is in no experiment at a placement."""
    control = board.controls[placement]
    reason: Reason = "STATIC"
    if placement in board.stopped:
        reason = "DISABLED"
    return Answer(placement, control, control, reason)


def _arm(running: Running, placement: str, subject: Subject, now: datetime) -> Answer | None:
    """Return the arm of a unit that is in an experiment."""
    unit = _unit(running, subject, now)
    forced = _forced(running, subject)
    if forced is not None:
        value = running.actions[forced]
        return Answer(placement, value, forced, "TARGETING_MATCH", running.name, 1.0, unit)
    if running.is_of_people:
        if running.needs_consent and not _agreed(running, subject):
            return None
        draw, give = running.drawn(now)
        arm = give(unit.text, unit.written)
    elif _is_held_out(running, subject):
        return None
    elif running.definition.geo is not None:
        return _answer(running, placement, running.arm_of_region(unit.text), 1.0, unit, now)
    else:
        draw, give = running.drawn(now)
        arm = give(unit.text, unit.written)
    if arm is None:
        return None
    return _answer(running, placement, arm, draw.probability(arm), unit, now)


def _answer(
    running: Running, placement: str, arm: str, probability: float, unit: Unit, now: datetime
) -> Answer:
    value, period = running.actions[arm], running.period(now)
    return Answer(placement, value, arm, "SPLIT", running.name, probability, unit, period)


def _unit(running: Running, subject: Subject, now: datetime) -> Unit:
    """Find who or what is to get an arm."""
    definition = running.definition
    if definition.switchback is not None:
        begins = slot(definition.switchback.block, now, running.zone)
        return Unit(begins, begins)
    if definition.geo is not None:
        region = subject.text(definition.geo)
        if region is None:
            hint = f"send the region as {definition.geo!r}"
            raise InputError("no region is named", WHERE, hint)
        return Unit(region, region)
    if definition.unit == "session":
        session = subject.text("session")
        if session is None:
            session = subject.text("targetingKey")
        if session is None:
            raise NoTargetingKey("no session is named", WHERE, "send its id as session")
        return Unit(session, session, session=session)
    namespace, value = subject.identifier(anonymous=definition.unit == "visitor")
    leaf = unit_text(leaf_key(namespace, value))
    return Unit(leaf, value, {namespace: leaf})


def _forced(running: Running, subject: Subject) -> str | None:
    """Return the arm that a tester is named for."""
    if not running.testers:
        return None
    return running.testers.get(subject.leaf())


def _agreed(running: Running, subject: Subject) -> bool:
    consent = subject.consent()
    if consent is None or consent.granted is None:
        return False
    return running.definition.purpose in consent.granted


def _is_held_out(running: Running, subject: Subject) -> bool:
    """Say whether the person before a region's or a time's experiment is in the global holdout."""
    goal = running.goal
    leaf = subject.leaf()
    if goal is None or leaf is None:
        return False
    return held_out(goal.salt, goal.holdout.exact, unit_text(leaf))
