"""Stop an experiment for good, and say why."""

from __future__ import annotations

from liftwerk.clock import Clock
from liftwerk.errors import ProjectError, Refused
from liftwerk.experiments.log import settle, write
from liftwerk.experiments.ramp import demand_running
from liftwerk.experiments.state import State
from liftwerk.store.stores import Stores


def stop(stores: Stores, clock: Clock, actor: str, name: str, reason: str) -> State:
    """Stop an experiment; it can still be read, and concluded.

    Parameters
    ----------
    stores : Stores
    clock : Clock
    actor : str
    name : str
        An experiment that runs, declared or not.
    reason : str
        Why; it is kept for good, so that it should name nobody.

    Returns
    -------
    State

    Raises
    ------
    ProjectError
        If no reason is given.
    Refused
        If it does not run; one that was stopped for this reason already is left alone.
    """
    words = " ".join(reason.split())
    if not words:
        raise ProjectError("no reason is given", f"experiment {name}", "say why it is stopped")

    def attempt(state: State) -> State:
        if state.stage == "stopped":
            if state.reason == words:
                return state
            what = f"it was stopped already ({state.reason})"
            raise Refused(what, f"experiment {name}", "its log is never changed")
        demand_running(state)
        return write(stores.ledger, clock, actor, state, "stop", state.version, {"reason": words})

    return settle(stores.ledger, name, attempt)
