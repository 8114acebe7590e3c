"""What a home needs again and again while a server collects."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.errors import Refused
from liftwerk.events.compact import compact
from liftwerk.experiments.changed import notice_changes
from liftwerk.experiments.ring import ring
from liftwerk.features.retain import retain
from liftwerk.project.compact import compacted
from liftwerk.project.erase import erase_due
from liftwerk.project.holdout import keep_holdout
from liftwerk.project.reading import conclude_stopped
from liftwerk.store.stores import Stores


def upkeep(
    project: Project, stores: Stores, actor: str, clock: Clock, last: datetime | None
) -> dict[str, Any]:
    """Sort what was collected into tables; take out who asked for it, and what is too old.

    Each day the holdout's whole weeks, and what stopped experiments show, go to the effect
    register. Each hour experiments that run are looked at: whether one was changed, or its arms
    have not as many units as they should.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    actor : str
    clock : Clock
    last : datetime or None
        When this was last done: for what is too old once a day is enough, for alarms once an hour.

    Returns
    -------
    dict
        As `liftwerk.project.compact.compacted`, with how many ``customers`` were erased and how
        many rows had ``expired``, and the ``alarms`` that rang.
    """
    done = compacted(compact(project, stores, clock))
    stores.expire(clock.now())
    customers = erase_due(project, stores, actor, clock)
    now, expired, rung = clock.now(), 0, 0
    if last is None or last.date() != now.date():
        with suppress(Refused):  # of who holds nobody out
            keep_holdout(project, stores, clock, actor)
        conclude_stopped(project, stores, clock, actor)
        expired = sum(one.rows for one in retain(project, stores, clock))
    if last is None or (last.date(), last.hour) != (now.date(), now.hour):
        notice_changes(project, stores, clock, actor)
        rung = len(ring(project, stores, clock, actor))
    return {**done, "customers": customers, "expired": expired, "alarms": rung}
