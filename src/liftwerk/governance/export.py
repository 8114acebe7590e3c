"""Give a customer all that is known of them, from every collection that there is."""

from __future__ import annotations

from typing import Any

import msgspec

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.consent.history import consent_history, consent_state
from liftwerk.events.read import identifier_values
from liftwerk.governance.catalogue import fill_catalogue
from liftwerk.identity.leaves import leaves_of
from liftwerk.identity.resolve import leaf_of
from liftwerk.privacy.definition import ACCESS
from liftwerk.store.catalogue import Subject
from liftwerk.store.stores import Stores

SUBJECT = "a customer"
"""What the audit entry is about: it must not name whom."""


def export(
    project: Project, stores: Stores, customer: str, actor: str, clock: Clock
) -> dict[str, Any]:
    """Tell all that is known of a customer, by every identifier they are known by.

    Parameters
    ----------
    project : Project
    stores : Stores
    customer : str
        An identifier, ``"3"`` or ``"namespace:3"``.
    actor : str
        Who does it; the audit log keeps a key in their name's place.
    clock : Clock

    Returns
    -------
    dict
        JSON-able. ``identifiers``: namespace and value of each. ``consent``: what holds for each
        purpose, and how it came about. ``collections``: name -> rows, of those that keep anything.

    Raises
    ------
    UnknownName
        If the namespace is not declared.
    InputError
        If the identifier is not what its namespace demands.
    """
    now = clock.now()
    leaves = leaves_of(project, stores, leaf_of(project, customer))
    known = identifier_values(project, stores, ACCESS, leaves).to_pylist()
    values = tuple((row["namespace"], row["value"]) for row in known)
    catalogue = fill_catalogue(project, stores, clock)
    collections = catalogue.export(Subject(tuple(leaves), values))
    with stores.ledger.change(actor, "customer.export", SUBJECT, {}, now):
        pass
    about = {one.name: one for one in catalogue}
    document: dict[str, Any] = msgspec.to_builtins(
        {
            "project": project.name,
            "at": now,
            "identifiers": [{"namespace": space, "value": value} for space, value in values],
            "consent": {
                "state": list(consent_state(project, stores, leaves).values()),
                "history": consent_history(project, stores, leaves).to_pylist(),
            },
            "collections": {
                name: {
                    "kept_for": list(about[name].purposes),
                    "kept": about[name].retention,
                    "rows": rows,
                }
                for name, rows in collections.items()
            },
        }
    )
    return document
