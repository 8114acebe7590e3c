"""Tell two identifiers apart: an event like any other, so that the past stays as it was known."""

from __future__ import annotations

from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import Refused
from liftwerk.events.append import append_event
from liftwerk.events.compact import compact
from liftwerk.events.definition import LIVE
from liftwerk.events.ids import made_id
from liftwerk.identity.links import APART
from liftwerk.identity.resolve import customers_of, leaf_of, named_identifier
from liftwerk.store.stores import Stores

SUBJECT = "a customer"
"""What the audit entry is about: it must not name whom."""


def unmerge(
    project: Project,
    stores: Stores,
    one: str,
    other: str,
    actor: str,
    clock: Clock,
    reason: str,
) -> dict[str, Any]:
    """Tell two identifiers of one customer apart, from now on.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    one, other : str
        Identifiers, as `liftwerk.identity.resolve.leaf_of` reads them.
    actor : str
        Who does it; the audit log keeps a key in their name's place.
    clock : Clock
    reason : str
        Why; it stands in the event and in the audit log, so it must name nobody.

    Returns
    -------
    dict
        JSON-able: ``events`` (the ids of the two events) and the ``customers`` they have now.

    Raises
    ------
    Refused
        If they are not one customer.
    """
    leaves = [leaf_of(project, one), leaf_of(project, other)]
    now = clock.now()
    whose = customers_of(project, stores, leaves)
    if leaves[0] == leaves[1]:
        raise Refused("both are the same identifier", "identity unmerge", "name two")
    if len(set(whose.values())) > 1:
        raise Refused("they are not one customer", "identity unmerge", "see `identity show`")
    pair = str(made_id("unmerge", now.isoformat()))
    said = {"name": APART, "time": now, "properties": {"reason": reason, "pair": pair}}
    detail = {"reason": reason, "pair": pair}
    with stores.ledger.change(actor, "identity.unmerge", SUBJECT, detail, now):
        pass  # before the events: they must not count without an entry, whatever is killed when
    # Half a pair says nothing: after a kill between the two it is done again.
    events = []
    for identifier in (one, other):
        namespace, value = named_identifier(project, identifier)
        event = {**said, "identifiers": {namespace: value}}
        events.append(append_event(project, stores, event, LIVE, clock))
    compact(project, stores, clock)
    whose = customers_of(project, stores, leaves)
    return {"events": events, "customers": [whose[leaf].hex() for leaf in leaves]}
