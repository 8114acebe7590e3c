"""Carry out the erasures that are queued: all at once, in one walk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions import Project
from liftwerk.errors import HomeInUse
from liftwerk.events.compact import compact
from liftwerk.governance.erase import (
    HEED_SECONDS,
    Erased,
    erase,
    heeded,
    look_up,
    request,
    spellings,
)
from liftwerk.store.home import COLLECT_LOCK, SORTING_SECONDS
from liftwerk.store.stores import Stores


def erase_customers(
    project: Project,
    stores: Stores,
    actor: str,
    clock: Clock,
    customers: Sequence[str],
    reason: str,
    *,
    search: bool,
) -> dict[str, Any]:
    """Queue customers, and erase everybody who is queued.

    Parameters
    ----------
    project : Project
    stores : Stores
    actor : str
    clock : Clock
    customers : sequence of str
        An identifier of each; none to carry out only what is queued.
    reason : str
        It stands in the audit log; name nobody in it.
    search : bool
        Whether to look into every byte of the home afterwards.

    Returns
    -------
    dict
        ``receipts``: the ids of the customers' erasures. ``queued``: whether another process holds
        the home, and carries it out. ``erased``: collection -> rows that went, rows read for it,
        rows there were. ``found``: where something is left; None without a search. ``models``: the
        versions that were trained on them.
    """
    receipts: list[str] = []
    if customers:
        receipts = request(project, stores, customers, actor, clock, reason)
    try:
        with stores.home.hold("erase", wait=SORTING_SECONDS):
            done = _erase_queued(project, stores, actor, clock, customers, search)
    except HomeInUse:
        return {"receipts": receipts, "queued": True, "erased": {}, "found": None, "models": []}
    found = None
    if done.found is not None:
        found = [str(find) for find in done.found]
    erased = {
        name: {"rows": taken.rows, "read": taken.read, "of": taken.of}
        for name, taken in done.taken.items()
    }
    return {
        "receipts": receipts,
        "queued": False,
        "erased": erased,
        "found": found,
        "models": done.models,
    }


def _erase_queued(
    project: Project,
    stores: Stores,
    actor: str,
    clock: Clock,
    customers: Sequence[str],
    search: bool,
) -> Erased:
    compact(project, stores, clock)
    look_up(project, stores, actor, clock)
    if stores.home.is_joined(COLLECT_LOCK):
        # A process that collects may not know yet, and would let one more event in.
        time.sleep(HEED_SECONDS)
        compact(project, stores, clock)
    queued = stores.ledger.erasing()
    values = spellings(project, customers)
    return erase(project, stores, queued, actor, clock, search=search, values=values)


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
