"""Dead letters: what a vendor refused for good, and how it is tried again after a fix."""

from __future__ import annotations

import uuid
from typing import Any

from liftwerk.clock import Clock
from liftwerk.connectors.destinations.definition import DESTINATIONS
from liftwerk.definitions.project import Project
from liftwerk.store.stores import Stores

ACTOR = "forward"


def dead_letters(
    project: Project, stores: Stores, destination: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """List dead letters, oldest first.

    Parameters
    ----------
    project : Project
    stores : Stores
    destination : str, optional
        Only those of one destination.
    limit : int
        Most letters.

    Returns
    -------
    list of dict
        ``destination``, ``event``, ``id``, ``offset``, ``reason``, ``tries``, ``refused``.

    Raises
    ------
    UnknownName
        If no such destination is declared.
    """
    if destination is not None:
        project.lookup(DESTINATIONS, destination)
    return [
        {
            "destination": name,
            "event": entry.event,
            "id": str(uuid.UUID(bytes=entry.event_id)),
            "offset": entry.offset,
            "reason": entry.reason,
            "tries": entry.tries,
            "refused": entry.tried,
        }
        for name, entry in stores.outbox.dead(destination, limit)
    ]


def replay(
    project: Project,
    stores: Stores,
    clock: Clock,
    destination: str | None = None,
    reason: str | None = None,
) -> int:
    """Let dead letters be tried again by the next run.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
    destination : str, optional
        Only those of one destination.
    reason : str, optional
        Only those refused for exactly this reason.

    Returns
    -------
    int
        How many.

    Raises
    ------
    UnknownName
        If no such destination is declared.
    """
    if destination is not None:
        project.lookup(DESTINATIONS, destination)
    now = clock.now()
    many = stores.outbox.replay(now, destination, reason)
    if many:
        detail = {"letters": many, "reason": reason}
        with stores.ledger.change(ACTOR, "forward.replay", destination or "all", detail, now):
            pass
    return many
