"""Where an experiment stands: a fold of its log, which is only ever added to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any, Literal

import msgspec
from msgspec import Struct

from liftwerk.experiments.definition import ExperimentDefinition
from liftwerk.experiments.version import Body, definition_of
from liftwerk.store.ledger import ExperimentEntry, Ledger
from liftwerk.store.stores import Stores

Stage = Literal["declared", "registered", "running", "stopped"]


class Ramp(Struct, frozen=True):
    """From when on which part of all units may enter."""

    at: datetime
    share: Fraction


class Changed(Struct, frozen=True):
    """That a definition was changed while the experiment ran.

    Attributes
    ----------
    at : datetime
        When it was seen.
    version : str
        What is declared since; empty where nothing is any more.
    keys : tuple of str
        What differs from what was registered.
    """

    at: datetime
    version: str
    keys: tuple[str, ...]


class State(Struct, frozen=True):
    """Where an experiment stands.

    Attributes
    ----------
    name : str
    stage : str
        ``declared -> registered -> running -> stopped``.
    version : str
        Hash of the definition that is registered; empty before.
    body : dict
        What is registered, as `liftwerk.experiments.version.body_of` says it.
    plan : dict
        The plan that it was registered with, or ``{"unplanned": reason}``.
    registered, started, stopped : datetime or None
    ramps : tuple of Ramp
        The first is the start's.
    begins : Fraction
        Where its range of its layer begins; it is as wide as the definition's share, and no other
        that runs in the layer overlaps it. 0 without a layer.
    reason : str
        Why it was stopped.
    changes : tuple of Changed
    conclusions : tuple of dict
        What was concluded, as it went to the effect register; the last one counts.
    entries : int
        How many entries the log has.
    """

    name: str
    stage: Stage = "declared"
    version: str = ""
    body: Body = {}
    plan: dict[str, Any] = {}
    registered: datetime | None = None
    started: datetime | None = None
    stopped: datetime | None = None
    ramps: tuple[Ramp, ...] = ()
    begins: Fraction = Fraction(0)
    reason: str = ""
    changes: tuple[Changed, ...] = ()
    conclusions: tuple[dict[str, Any], ...] = ()
    entries: int = 0

    @property
    def share(self) -> Fraction:
        """The part of all units that may enter now, or might before it was stopped."""
        if not self.ramps:
            return Fraction(0)
        return self.ramps[-1].share

    @property
    def definition(self) -> ExperimentDefinition:
        """What was registered: whatever the file says meanwhile, this is what runs.

        Raises
        ------
        ValueError
            If nothing is registered yet.
        """
        if not self.body:
            raise ValueError(f"experiment {self.name} is not registered")
        return definition_of(self.body)


def fold(name: str, entries: Iterable[ExperimentEntry]) -> State:
    """Work out where an experiment stands from its log.

    Parameters
    ----------
    name : str
    entries : iterable of ExperimentEntry
        All of its log, in order.

    Returns
    -------
    State

    Examples
    --------
    >>> fold("welcome_mail", []).stage
    'declared'
    """
    state = State(name)
    for entry in entries:
        said = json.loads(entry.body)
        told = _AFTER[entry.action](state, entry, said)
        state = msgspec.structs.replace(state, entries=entry.number, **told)
    return state


def state_of(ledger: Ledger, name: str) -> State:
    """Return where one experiment stands; ``declared`` where its log is empty."""
    return fold(name, ledger.experiment_log(name))


def states(ledger: Ledger) -> dict[str, State]:
    """Return where every experiment with a log stands, the oldest first."""
    logs: dict[str, list[ExperimentEntry]] = {}
    for entry in ledger.experiment_log():
        logs.setdefault(entry.name, []).append(entry)
    return {name: fold(name, entries) for name, entries in logs.items()}


def running(stores: Stores) -> dict[str, State]:
    """Return the experiments that run now, the oldest first."""
    return {name: one for name, one in states(stores.ledger).items() if one.stage == "running"}


def _registered(state: State, entry: ExperimentEntry, said: Mapping[str, Any]) -> dict[str, Any]:
    told = {"version": entry.version, "body": said["definition"], "plan": said["plan"]}
    return {**told, "stage": "registered", "registered": entry.at}


def _started(state: State, entry: ExperimentEntry, said: Mapping[str, Any]) -> dict[str, Any]:
    ramp = Ramp(entry.at, Fraction(said["share"]))
    begins = Fraction(said["begins"])
    return {"stage": "running", "started": entry.at, "ramps": (ramp,), "begins": begins}


def _ramped(state: State, entry: ExperimentEntry, said: Mapping[str, Any]) -> dict[str, Any]:
    return {"ramps": (*state.ramps, Ramp(entry.at, Fraction(said["share"])))}


def _stopped(state: State, entry: ExperimentEntry, said: Mapping[str, Any]) -> dict[str, Any]:
    return {"stage": "stopped", "stopped": entry.at, "reason": said["reason"]}


def _concluded(state: State, entry: ExperimentEntry, said: Mapping[str, Any]) -> dict[str, Any]:
    return {"conclusions": (*state.conclusions, {**said, "at": entry.at})}


def _changed(state: State, entry: ExperimentEntry, said: Mapping[str, Any]) -> dict[str, Any]:
    one = Changed(entry.at, entry.version, tuple(said["keys"]))
    return {"changes": (*state.changes, one)}


_AFTER = {
    "register": _registered,
    "start": _started,
    "ramp": _ramped,
    "stop": _stopped,
    "conclude": _concluded,
    "change": _changed,
}
"""Action -> what is different after it."""
