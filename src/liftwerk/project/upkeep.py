"""What a home needs again and again while a server collects."""

from __future__ import annotations

from datetime import date
from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.features.retain import retain
from liftwerk.project.compact import compacted
from liftwerk.project.erase import erase_due
from liftwerk.store.stores import Stores


def upkeep(
    project: Project, stores: Stores, actor: str, clock: Clock, retained: date | None
) -> dict[str, Any]:
    """Sort what was collected into tables; take out who asked for it, and what is too old.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    actor : str
    clock : Clock
    retained : date or None
        The day on which what is too old was last taken out: once a day is enough.

    Returns
    -------
    dict
        As `liftwerk.project.compact.compacted`, with how many ``customers`` were erased and how
        many rows had ``expired``.
    """
    done = compacted(compact(project, stores, clock))
    stores.expire(clock.now())
    customers = erase_due(project, stores, actor, clock)
    expired = 0
    if retained != clock.now().date():
        expired = sum(one.rows for one in retain(project, stores, clock))
    return {**done, "customers": customers, "expired": expired}
