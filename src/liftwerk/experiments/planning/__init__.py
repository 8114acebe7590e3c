"""Plan an experiment before it starts: one planner, to which each design brings its calculation.

What an experiment of some length can see is worked out of the project's own history; one that can't
see what it is for is refused, with the smallest change that would help. Without a project
`calculate` does with a few figures.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liftwerk.definitions.project import Project
    from liftwerk.experiments.planning.ask import Asked
    from liftwerk.experiments.planning.plan import Plan
    from liftwerk.store.stores import Stores

PLANNERS = {
    "ab": "liftwerk.experiments.planning.kinds.units:plan_units",
    "holdout": "liftwerk.experiments.planning.kinds.units:plan_units",
    "switchback": "liftwerk.experiments.planning.kinds.switchback:plan_switchback",
    "geo": "liftwerk.experiments.planning.kinds.geo:plan_geo",
}
"""Design -> what plans it; one line a design."""


def plan_experiment(project: Project, stores: Stores, asked: Asked) -> Plan:
    """Plan an experiment by its design.

    Parameters
    ----------
    project : liftwerk.definitions.Project
    stores : liftwerk.store.Stores
    asked : liftwerk.experiments.planning.ask.Asked

    Returns
    -------
    liftwerk.experiments.planning.plan.Plan

    Raises
    ------
    Refused
        If there is no history to plan by.
    """
    module, _, name = PLANNERS[asked.experiment.design].partition(":")
    planner = getattr(importlib.import_module(module), name)
    found: Plan = planner(project, stores, asked)
    return found
