"""What a ledger keeps of experiments: entries of their logs, and rows of the effect register."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

EXPERIMENT_ACTIONS = ("register", "start", "ramp", "stop", "conclude", "change")
"""What may be written into an experiment's log."""


class ExperimentEntry(Struct, frozen=True):
    """One entry of an experiment's log, which is only ever added to.

    Attributes
    ----------
    name : str
        The experiment.
    action : str
        One of `EXPERIMENT_ACTIONS`.
    body : str
        What it says, as canonical JSON; nothing personal, since it is never erased.
    version : str
        Hash of the definition that it was done under.
    at : datetime
    number : int
        Its place in the log of this experiment, from 1.
    """

    name: str
    action: str
    body: str
    version: str
    at: datetime
    number: int


class EffectRow(Struct, frozen=True):
    """One entry of the effect register: what something added over a window, as it was estimated.

    Attributes
    ----------
    subject, metric : str
        What added it (``policy:NAME``), and by what it is measured.
    start, end : datetime
        The window, of which ``end`` is no part.
    estimate : str
        The estimate, or why there is none, as canonical JSON.
    unit, method, source : str
    at : datetime
    """

    subject: str
    metric: str
    start: datetime
    end: datetime
    estimate: str
    unit: str
    method: str
    source: str
    at: datetime
