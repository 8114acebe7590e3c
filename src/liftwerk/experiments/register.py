"""Register an experiment: what it is and how it was planned, held fast before it starts."""

from __future__ import annotations

from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.experiments.log import settle, write
from liftwerk.experiments.state import State
from liftwerk.experiments.version import body_of, hash_of
from liftwerk.store.stores import Stores

UNPLANNED = "unplanned"
"""The key of a plan that says why there is none."""


def register(
    project: Project, stores: Stores, clock: Clock, actor: str, name: str, plan: dict[str, Any]
) -> State:
    """Hold fast what is declared of an experiment, with its plan.

    Until it starts it may be registered anew; each time stays in the log.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
    name : str
        A declared experiment.
    plan : dict
        The plan, JSON-able; or ``{"unplanned": reason}`` where it is started without one.

    Returns
    -------
    State

    Raises
    ------
    UnknownName
        If it is not declared.
    Refused
        If it was started already.
    """
    body = body_of(project, name)
    version = hash_of(body)

    def attempt(state: State) -> State:
        if state.started is not None:
            what = f"it was started on {state.started.date().isoformat()}, by what was registered"
            hint = "declare a new experiment under a new name"
            raise Refused(what, f"experiment {name}", hint)
        if (state.version, state.plan) == (version, plan):
            return state
        said = {"definition": body, "plan": plan}
        return write(stores.ledger, clock, actor, state, "register", version, said)

    return settle(stores.ledger, name, attempt)
