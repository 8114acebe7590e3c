"""What a reading of a declared design begins with: that it was started, as what, and until when."""

from __future__ import annotations

from datetime import datetime

from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.state import State, state_of
from liftwerk.store.stores import Stores

CALLED = {
    "ab": "A/B test",
    "holdout": "holdout",
    "switchback": "switchback",
    "geo": "geo test",
}
"""Design -> what it is called in a sentence."""


def begun(
    project: Project, stores: Stores, name: str, design: str, now: datetime
) -> tuple[State, datetime, datetime]:
    """Return where an experiment stands, when it was started, and until when it has run.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
    design : str
        The one that the caller reads.
    now : datetime

    Returns
    -------
    tuple of State, datetime, datetime
        What runs is ``state.definition``, whatever the file says meanwhile.

    Raises
    ------
    UnknownName
        If it is not declared.
    Refused
        If it is of another design, or was not started.
    """
    declared = project.lookup(EXPERIMENTS, name)
    where = f"experiment {name}"
    if declared.design != design:
        what = f"it is no {CALLED[design]} but of the design {declared.design}"
        raise Refused(what, where, f"liftwerk experiment read {name}")
    state = state_of(stores.ledger, name)
    if state.started is None:
        raise Refused("it was not started", where, f"liftwerk experiment start {name}")
    until = now
    if state.stopped is not None:
        until = min(now, state.stopped)
    return state, state.started, until
