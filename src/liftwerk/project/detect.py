"""What the declared holdout can detect, and when: a line for `check`."""

from __future__ import annotations

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.experiments.planning.plan import Plan
from liftwerk.project.experiments import Experiments
from liftwerk.store.home import Home
from liftwerk.store.stores import open_stores


def detects(project: Project, clock: Clock) -> str:
    """Say what the holdout of ``[goal]`` can detect, and propose a share where it is too small.

    Parameters
    ----------
    project : Project
        With a home.
    clock : Clock

    Returns
    -------
    str

    Raises
    ------
    Refused
        If there is too little history.
    """
    with open_stores(Home.of(project)) as stores:
        # Nobody acts here: planning writes nothing.
        plan = Experiments(project, stores, clock, "check").plan(simulate=False)
    return sentence(plan)


def sentence(plan: Plan) -> str:
    """Say in one line what a holdout can detect.

    Parameters
    ----------
    plan : Plan
        Of a holdout.
    """
    parts = (next(iter(plan.arms.values())), abs(plan.effect))
    kept, effect = (f"{100 * part:.3g}%" for part in parts)
    if plan.feasible:
        return (
            f"the holdout of {kept}: unknown until week {plan.known_in}; then {effect} more or less"
            f" of {plan.metric} is seen with {100 * plan.power:.3g}% power"
        )
    seen = "nothing"
    if plan.detectable is not None:
        seen = f"{100 * abs(plan.detectable):.3g}% at least"
    weeks = plan.within // 7
    said = f"the holdout of {kept}: {effect} of {plan.metric} is unknown beyond week {weeks}, when"
    said += f" {seen} is seen"
    if plan.nearest:
        said += f"; to see more: {' or '.join(one.words for one in plan.nearest)}"
    return said
