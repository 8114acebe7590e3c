"""What the room keeps, registered in the catalogue."""

from __future__ import annotations

from liftwerk.definitions.project import Project
from liftwerk.metrics.kept import TOTALS, forget, tell
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.catalogue import Collection
from liftwerk.store.stores import Stores

NAME = "unit totals"


def register_totals(project: Project, stores: Stores) -> None:
    """Register the totals of experiments' units; safe to call again."""
    if NAME in {collection.name for collection in stores.catalogue}:
        return
    stores.catalogue.register(
        Collection(
            name=NAME,
            room="metrics",
            holds=(TOTALS,),
            subject="unit, customer",
            purposes=tuple(project.get(PURPOSES)),
            retention="until they are made again",
            erase=lambda subject: forget(stores, subject),
            export=lambda subject: tell(stores, subject),
        )
    )
