"""Everything that a project keeps, registered: the rooms' collections and the artefacts."""

from __future__ import annotations

from typing import Any

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.events.collections import register_collections
from liftwerk.governance.search import Needles, needles, rows_of
from liftwerk.metrics.collections import register_totals
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.catalogue import Catalogue, Collection, Subject, Taken
from liftwerk.store.stores import Stores

ARTEFACTS = "artefacts"


def fill_catalogue(project: Project, stores: Stores, clock: Clock) -> Catalogue:
    """Register what the rooms above the store keep in it; safe to call again.

    Parameters
    ----------
    project : Project
    stores : Stores
    clock : Clock
        For what an erasure writes.

    Returns
    -------
    Catalogue
        ``unregistered`` of it finds what belongs to no collection.
    """
    register_collections(project, stores, clock)
    register_totals(project, stores)
    if ARTEFACTS not in {collection.name for collection in stores.catalogue}:
        stores.catalogue.register(
            Collection(
                name=ARTEFACTS,
                room="operations",
                holds=("artefacts/*",),
                subject="customer keys in any column",
                purposes=tuple(project.get(PURPOSES)),
                retention="until they are made again",
                erase=lambda subject: _from_artefacts(stores, subject),
                export=lambda subject: _told_by_artefacts(stores, subject),
            )
        )
    return stores.catalogue


def _from_artefacts(stores: Stores, subject: Subject) -> Taken:
    """Delete whole artefacts that hold one of the keys.

    A step whose artefact is gone runs again, on events without the customer.
    """
    wanted = Needles(needles(subject.keys))
    gone = 0
    for name in stores.artefacts.names():
        if wanted.found_in(stores.artefacts.path(name)):
            gone += int(stores.artefacts.delete(name))
    return Taken({"customer": gone})


def _told_by_artefacts(stores: Stores, subject: Subject) -> list[dict[str, Any]]:
    """Tell the rows of tables that were derived, such as features and segments."""
    wanted = Needles(needles(subject.keys))
    found: list[dict[str, Any]] = []
    for name in stores.artefacts.names():
        path = stores.artefacts.path(name)
        if wanted.found_in(path):
            rows = rows_of(path, subject.keys)
            found.append({"artefact": name, "rows": rows, "holds_a_key": True})
    return found
