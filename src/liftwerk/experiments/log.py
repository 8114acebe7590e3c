"""Write into an experiment's log: whole or not at all, and by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import rfc8785

from liftwerk.clock import Clock
from liftwerk.errors import Conflict
from liftwerk.experiments.effects import put_within
from liftwerk.experiments.state import State, state_of
from liftwerk.faults import fault
from liftwerk.store.ledger import EffectRow, ExperimentEntry, Ledger

TRIES = 5
"""How often a change is worked out anew when another process wrote meanwhile."""


def settle(ledger: Ledger, name: str, attempt: Callable[[State], State]) -> State:
    """Try to change where an experiment stands, and try anew when another process was first.

    Parameters
    ----------
    ledger : Ledger
    name : str
        The experiment's.
    attempt : callable
        Given where it stands, checks, writes, and returns where it stands then.
    """
    for _ in range(TRIES - 1):
        try:
            return attempt(state_of(ledger, name))
        except Conflict:
            continue
    return attempt(state_of(ledger, name))


def write(
    ledger: Ledger,
    clock: Clock,
    actor: str,
    state: State,
    action: str,
    version: str,
    body: dict[str, Any],
    *,
    effects: Sequence[EffectRow] = (),
    within: Callable[[], dict[str, Any]] = dict,
) -> State:
    """Add an entry to a log, with its audit entry and what goes to the effect register.

    Parameters
    ----------
    ledger : Ledger
    clock : Clock
    actor : str
    state : State
        Where it stood when this was worked out.
    action, version : str
        As `liftwerk.store.ledger.ExperimentEntry` has them.
    body : dict
        What the entry says.
    effects : sequence of EffectRow
        Written with it.
    within : callable, optional
        Gives more of what the entry says; called while nobody else writes, it sees every log as it
        will be until the entry is in.

    Returns
    -------
    State
        Where it stands now.

    Raises
    ------
    Conflict
        If another process wrote since.
    """
    now = clock.now()
    number = state.entries + 1
    detail = {"version": version, "number": number}
    with (
        fault("experiment_commit"),
        ledger.change(actor, f"experiment.{action}", state.name, detail, now) as change,
    ):
        text = rfc8785.dumps({**body, **within()}).decode()
        entry = ExperimentEntry(state.name, action, text, version, now, number)
        ledger.append_experiment(change, entry)
        put_within(ledger, change, effects)
    return state_of(ledger, state.name)
