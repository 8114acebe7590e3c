"""Carry out the erasures that are queued: all at once, in one walk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.events.compact import compact
from liftwerk.governance.erase import HEED_SECONDS, erase, heeded, look_up, spellings
from liftwerk.store.home import COLLECT_LOCK
from liftwerk.store.stores import Stores


def erase_queued(
    project: Project,
    stores: Stores,
    actor: str,
    clock: Clock,
    customers: Sequence[str],
    search: bool,
) -> dict[str, Any]:
    """Erase everybody who is queued.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    actor : str
    clock : Clock
    customers : sequence of str
        Identifiers to search for beside those that the tables know.
    search : bool
        Whether every file is searched afterwards.

    Returns
    -------
    dict
        ``erased``: collection -> rows, rows read, rows there were. ``found``: where something is
        left, None without a search.
    """
    compact(project, stores, clock)
    look_up(project, stores, actor, clock)
    if stores.home.is_joined(COLLECT_LOCK):
        # A process that collects may not know yet, and would let one more event in.
        time.sleep(HEED_SECONDS)
        compact(project, stores, clock)
    queued = stores.ledger.erasing()
    values = spellings(project, customers)
    done = erase(project, stores, queued, actor, clock, search=search, values=values)
    found = None
    if done.found is not None:
        found = [str(find) for find in done.found]
    erased = {
        name: {"rows": taken.rows, "read": taken.read, "of": taken.of}
        for name, taken in done.taken.items()
    }
    return {"erased": erased, "found": found}


def erase_due(project: Project, stores: Stores, actor: str, clock: Clock) -> int:
    """Take one step with the erasures that are queued; returns how many are finished.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home, and has compacted.
    actor : str
    clock : Clock
    """
    due = heeded(stores, clock)
    look_up(project, stores, actor, clock)
    if not due:
        return 0
    return len(erase(project, stores, due, actor, clock, search=False).receipts)
