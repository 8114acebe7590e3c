"""What runs where: every placement, with its experiments, ready to be asked thousands of times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from liftwerk.definitions.project import Project
from liftwerk.experiments.definition import EXPERIMENTS, ExperimentDefinition
from liftwerk.experiments.draw import Draw, draw_of, period
from liftwerk.experiments.give import Giver, giver
from liftwerk.experiments.layers import EVERYTHING, Range
from liftwerk.experiments.state import State
from liftwerk.identity.resolve import leaf_of
from liftwerk.metrics.definition import GOAL, Goal
from liftwerk.privacy.definition import PURPOSES


@dataclass
class Running:
    """One running experiment.

    Attributes
    ----------
    name : str
    definition : ExperimentDefinition
        As it was registered.
    state : State
    goal : Goal or None
        Of the project, for its holdout.
    actions : dict of str to str
        Arm -> what it shows at the placement.
    testers : mapping of bytes to str
        Leaf key -> the arm that this one is to see.
    needs_consent : bool
        Whether nobody may enter who did not agree to its purpose.
    zone : tzinfo
        The project's time zone.
    """

    name: str
    definition: ExperimentDefinition
    state: State
    goal: Goal | None
    actions: dict[str, str]
    testers: Mapping[bytes | None, str]
    needs_consent: bool
    zone: tzinfo
    _drawn: tuple[int, Draw, Giver] | None = field(default=None, repr=False)

    @property
    def is_of_people(self) -> bool:
        """Whether people get its arms, and not a region or a stretch of time."""
        return self.definition.design in ("ab", "holdout")

    def arm_of_region(self, region: str) -> str:
        """Return the arm that names a region; control has all others."""
        for arm, said in self.definition.arms.items():
            if region in said.geos:
                return arm
        return self.definition.control

    def period(self, now: datetime) -> int:
        """Return the period of a rotating holdout that it is; 0 where nothing rotates."""
        if self.definition.rotate is None:
            return 0
        return period(self.definition.rotate, now)

    def drawn(self, now: datetime) -> tuple[Draw, Giver]:
        """Return how it gives its arms now."""
        number = self.period(now)
        drawn = self._drawn
        if drawn is None or drawn[0] != number:
            goal = self.goal
            if not self.is_of_people:
                goal = None  # who is held out, is a person
            draw = running_draw(self.name, self.state, goal, now)
            drawn = self._drawn = (number, draw, giver(draw))
        return drawn[1], drawn[2]


@dataclass(frozen=True)
class Board:
    """What runs where.

    Attributes
    ----------
    controls : mapping of str to str
        Placement -> its control action.
    running : mapping of str to tuple of Running
        Placement -> its experiments, the oldest first.
    stopped : frozenset of str
        Placements whose last experiment was stopped.
    """

    controls: Mapping[str, str]
    running: Mapping[str, tuple[Running, ...]]
    stopped: frozenset[str]


def board_of(project: Project, states: Mapping[str, State], controls: Mapping[str, str]) -> Board:
    """Put together what runs where.

    Parameters
    ----------
    project : Project
    states : mapping of str to State
        Where every experiment stands, the oldest first.
    controls : mapping of str to str
        Placement -> its control action.

    Returns
    -------
    Board
    """
    running: dict[str, list[Running]] = {}
    stopped = set()
    for name, state in states.items():
        if not state.body:
            continue
        placement = state.definition.placement
        if placement is None or placement not in controls:
            continue
        if state.stage == "running":
            running.setdefault(placement, []).append(
                running_of(project, name, state, controls[placement])
            )
        elif state.stage == "stopped":
            stopped.add(placement)
    return Board(
        controls,
        {placement: tuple(found) for placement, found in running.items()},
        frozenset(stopped - set(running)),
    )


def running_draw(name: str, state: State, goal: Goal | None, now: datetime) -> Draw:
    """Say how a running experiment gives its arms."""
    definition = state.definition
    reserved = EVERYTHING
    if definition.layer is not None:
        reserved = Range(state.begins, state.begins + definition.share.exact)
    return draw_of(name, definition, state.share, reserved=reserved, goal=goal, at=now)


def running_of(project: Project, name: str, state: State, control: str | None) -> Running:
    """Put together what a running experiment gives, and to whom.

    Parameters
    ----------
    project : Project
    name : str
    state : State
    control : str or None
        The placement's control action; None where it has no placement.
    """
    definition = state.definition
    actions = {arm: _action(arm, said.action) for arm, said in definition.arms.items()}
    if control is not None:
        actions[definition.control] = control
    testers: dict[bytes | None, str] = {}
    declared = project.get(EXPERIMENTS).get(name)
    if declared is not None:  # who tests is no part of what was registered
        testers = {leaf_of(project, one): arm for one, arm in declared.testers.items()}
    purpose = project.get(PURPOSES).get(definition.purpose)
    # What nothing is known of is not taken for granted.
    needs_consent = purpose is None or purpose.basis == "consent"
    return Running(
        name,
        definition,
        state,
        project.find(GOAL),
        actions,
        testers,
        needs_consent,
        project.timezone,
    )


def _action(arm: str, action: str | None) -> str:
    if action is None:
        return arm
    return action
