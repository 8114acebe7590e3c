"""Notice that the definition of an experiment that runs is no longer what was registered."""

from __future__ import annotations

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.log import settle, write
from liftwerk.experiments.state import State, running
from liftwerk.experiments.version import body_of, differences, hash_of
from liftwerk.store.stores import Stores

REMOVED = ("experiment",)
"""The key that differs where nothing is declared any more."""


def changed_keys(project: Project, state: State) -> tuple[str, ...]:
    """Name what is declared otherwise now than it was registered; nothing where it is the same.

    Parameters
    ----------
    project : Project
    state : State
        Of an experiment that is registered.
    """
    if state.name not in project.get(EXPERIMENTS):
        return REMOVED
    return differences(state.body, body_of(project, state.name))


def notice_changes(
    project: Project, stores: Stores, clock: Clock, actor: str
) -> dict[str, tuple[str, ...]]:
    """Write into the logs of experiments that run how their definitions changed.

    What is declared now is written once, and so is that it was put back.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str

    Returns
    -------
    dict of str to tuple of str
        Experiment -> what differs from what was registered, where anything does.
    """
    found = {}
    for name in running(stores):
        state = settle(
            stores.ledger, name, lambda one: _noticed(project, stores, clock, actor, one)
        )
        keys = changed_keys(project, state)
        if keys:
            found[name] = keys
    return found


def _noticed(project: Project, stores: Stores, clock: Clock, actor: str, state: State) -> State:
    version = ""
    if state.name in project.get(EXPERIMENTS):
        version = hash_of(body_of(project, state.name))
    seen = state.version
    if state.changes:
        seen = state.changes[-1].version
    if state.stage != "running" or version == seen:
        return state
    said = {"keys": list(changed_keys(project, state))}
    return write(stores.ledger, clock, actor, state, "change", version, said)
