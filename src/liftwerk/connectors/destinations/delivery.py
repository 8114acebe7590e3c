"""What the declared destinations ask of events for their delivery alone."""

from __future__ import annotations

from liftwerk.connectors.destinations.definition import DESTINATIONS
from liftwerk.definitions.project import Project
from liftwerk.events.delivery.seal import Wanted
from liftwerk.privacy.definition import PURPOSES


def wanted_of(project: Project) -> tuple[Wanted, ...]:
    """Return what each destination declares; nothing for those that declare no such field.

    Parameters
    ----------
    project : Project
    """
    purposes = project.get(PURPOSES)
    return tuple(
        Wanted(
            name,
            one.purpose,
            purposes[one.purpose].basis == "consent",
            frozenset(sent.event for sent in one.events),
            one.delivery,
            one.delivery_for.timedelta,
        )
        for name, one in project.get(DESTINATIONS).items()
        if one.delivery
    )


def delivery_fields(project: Project) -> tuple[str, ...]:
    """Return every field that some destination declares, in order."""
    declared = project.get(DESTINATIONS).values()
    return tuple(sorted({field for one in declared for field in one.delivery}))
