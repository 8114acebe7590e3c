"""Let more units into an experiment that runs; nobody who is in changes arms."""

from __future__ import annotations

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.definitions.typed import Share
from liftwerk.errors import Refused
from liftwerk.experiments.changed import changed_keys
from liftwerk.experiments.log import settle, write
from liftwerk.experiments.start import demand_share, percent, refuse_changed
from liftwerk.experiments.state import State
from liftwerk.store.stores import Stores


def ramp(
    project: Project, stores: Stores, clock: Clock, actor: str, name: str, share: Share
) -> State:
    """Let a larger part of all units enter; the same part again changes nothing.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str
    name : str
        An experiment that runs.
    share : Share
        At most what was registered.

    Returns
    -------
    State

    Raises
    ------
    Refused
        If it does not run or was changed, or if the share is smaller than it is or too large.
    """
    where = f"experiment {name}"

    def attempt(state: State) -> State:
        demand_running(state)
        keys = changed_keys(project, state)
        if keys:
            refuse_changed(state, keys)
        demand_share(where, share, state.definition)
        if share.exact == state.share:
            return state
        if share.exact < state.share:
            what = f"{share} is less than may enter now, {percent(state.share)}"
            hint = "who is in stays in: stop it, or leave it as it is"
            raise Refused(what, where, hint)
        said = {"share": share.canonical}
        return write(stores.ledger, clock, actor, state, "ramp", state.version, said)

    return settle(stores.ledger, name, attempt)


def demand_running(state: State) -> None:
    """Refuse what only one that runs can do.

    Raises
    ------
    Refused
        If it does not run.
    """
    if state.stage == "running":
        return
    hint = f"liftwerk experiment start {state.name}"
    if state.stage == "stopped":
        hint = "declare a new experiment under a new name"
    raise Refused(f"it does not run, it is {state.stage}", f"experiment {state.name}", hint)
