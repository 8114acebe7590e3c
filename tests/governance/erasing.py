"""Erasing somebody at once, as the command does where no server runs."""

from __future__ import annotations

from liftwerk.clock import FixedClock
from liftwerk.definitions import Project
from liftwerk.governance.erase import Erased, erase, look_up, request, spellings
from liftwerk.store.stores import Stores

DPO = "dpo@shop.example"


def erase_now(project: Project, stores: Stores, clock: FixedClock, *who: str) -> Erased:
    request(project, stores, who, DPO, clock, "request")
    look_up(project, stores, DPO, clock)
    queued = stores.ledger.erasing()
    return erase(project, stores, queued, DPO, clock, values=spellings(project, who))


def rows_of(done: Erased) -> dict[str, int]:
    """Collection -> rows that went."""
    return {name: taken.rows for name, taken in done.taken.items()}
