"""Conclude an experiment: what it showed goes to the effect register, with the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import rfc8785

from liftwerk.clock import Clock
from liftwerk.errors import ProjectError, Refused
from liftwerk.experiments.effects import Effect, row_of
from liftwerk.experiments.log import settle, write
from liftwerk.experiments.state import State
from liftwerk.store.stores import Stores


def conclude(
    stores: Stores,
    clock: Clock,
    actor: str,
    name: str,
    effects: Sequence[Effect],
    verdict: dict[str, Any],
) -> State:
    """Keep what an experiment showed; the same conclusion again changes nothing.

    Parameters
    ----------
    stores : Stores
    clock : Clock
    actor : str
    name : str
        An experiment that was stopped.
    effects : sequence of Effect
        Of its metrics, under the subject ``experiment:NAME`` or ``experiment:NAME/ARM``.
    verdict : dict
        What the reading says, JSON-able.

    Returns
    -------
    State

    Raises
    ------
    Refused
        If it still runs, or never did: what is concluded before the end is chosen by its result.
    ProjectError
        If an effect is of another subject.
    """
    where = f"experiment {name}"
    for one in effects:
        if one.subject.partition("/")[0] != f"experiment:{name}":
            raise ProjectError(f"an effect is of {one.subject!r}", where, "conclude that one")
    rows = [row_of(one) for one in effects]
    told = [msgspec.to_builtins(one) for one in effects]
    for one_told in told:
        del one_told["at"]  # when it was worked out is no part of what it says
    said: dict[str, Any] = {"effects": told, "verdict": verdict}

    def attempt(state: State) -> State:
        if state.stage != "stopped":
            what = f"it is {state.stage}, not stopped"
            hint = f'liftwerk experiment stop {name} --reason "…"'
            raise Refused(what, where, hint)
        if state.conclusions:
            last = {key: state.conclusions[-1][key] for key in said}
            if rfc8785.dumps(last) == rfc8785.dumps(said):
                return state
        return write(
            stores.ledger, clock, actor, state, "conclude", state.version, said, effects=rows
        )

    return settle(stores.ledger, name, attempt)
