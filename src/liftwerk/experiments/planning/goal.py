"""The holdout of ``[goal]`` as an experiment: the held-out beside everybody else."""

from __future__ import annotations

from fractions import Fraction

from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Share
from liftwerk.errors import ProjectError
from liftwerk.experiments.definition import Arm, ExperimentDefinition
from liftwerk.experiments.state import running
from liftwerk.metrics.definition import GOAL
from liftwerk.metrics.kinds import goal_metric
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.stores import Stores

HELD_OUT = "held out"
OTHERS = "everybody else"

MEASUREMENT = "measurement"
"""The purpose that a holdout is read for, where it is declared; else the first that is."""

PROPOSED = Share("5%")
"""What is tried where no holdout is declared."""


def goal_holdout(project: Project) -> ExperimentDefinition:
    """Return the global holdout as an experiment on the goal's metric.

    Raises
    ------
    UnknownName
        If no goal is declared.
    ProjectError
        If no purpose is.
    """
    goal = project.get(GOAL)
    share = goal.holdout
    if share.exact == 0:
        share = PROPOSED
    purposes = list(project.get(PURPOSES))
    if not purposes:
        raise ProjectError("no purpose is declared", "[purposes]", "add [purposes.measurement]")
    purpose = purposes[0]
    if MEASUREMENT in purposes:
        purpose = MEASUREMENT
    return ExperimentDefinition(
        design="holdout",
        description="What everything together adds",
        arms={HELD_OUT: Arm(share=share), OTHERS: Arm()},
        metrics=(goal_metric(project, goal.metric),),
        purpose=purpose,
    )


def room_in(stores: Stores, layer: str | None, name: str) -> float:
    """Return the largest share of all units that an experiment could have beside what runs.

    Parameters
    ----------
    stores : Stores
    layer : str or None
    name : str
        The experiment's own; what it has itself is free for it.
    """
    if layer is None:
        return 1.0
    taken = [
        state.definition.share.exact
        for other, state in running(stores).items()
        if other != name and state.definition.layer == layer
    ]
    return float(max(1 - sum(taken, Fraction(0)), Fraction(0)))
