"""The sample-ratio alarm: it rings while an experiment runs, into the audit log, once for each."""

from __future__ import annotations

from msgspec import Struct

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.experiments.checks.evidence import by_arm
from liftwerk.experiments.checks.sample_ratio import judged
from liftwerk.experiments.definition import EXPERIMENTS
from liftwerk.experiments.read import READ_HERE
from liftwerk.experiments.spine import assigned_units
from liftwerk.experiments.state import running
from liftwerk.privacy.permitted import AsOf
from liftwerk.store.ledger import Ledger
from liftwerk.store.stores import Stores

ACTION = "experiment.alarm"
"""The audit entry of an alarm."""

_EVERY = 1_000_000


class Alarm(Struct, frozen=True):
    """What rang, and for which experiment."""

    experiment: str
    words: str


def ring(project: Project, stores: Stores, clock: Clock, actor: str) -> tuple[Alarm, ...]:
    """Look at the sample ratios of all that runs, and ring where one does not fit.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    actor : str

    Returns
    -------
    tuple of Alarm
        Those that rang now and not before.
    """
    rung = {one.experiment for one in alarms(stores.ledger)}
    fresh = []
    for name in running(stores):
        experiment = project.get(EXPERIMENTS).get(name)
        if experiment is None or experiment.design not in READ_HERE or name in rung:
            continue
        spine = assigned_units(project, stores, name, as_of=AsOf(clock.now()))
        counts = by_arm(spine.table, experiment.arms)
        state, words = judged(counts, [float(share) for share in experiment.shares.values()])
        if state == "alarm":
            with stores.ledger.change(actor, ACTION, name, {"words": words}, clock.now()):
                fresh.append(Alarm(name, words))
    return tuple(fresh)


def alarms(ledger: Ledger) -> tuple[Alarm, ...]:
    """Return every alarm that ever rang, the oldest first."""
    entries = ledger.audit(limit=_EVERY, action=ACTION)
    return tuple(Alarm(entry.subject, entry.detail["words"]) for entry in entries)
