"""A customer changes their mind: one `consent_changed` event, durable before anybody is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liftwerk.clock import Clock
from liftwerk.definitions.project import Project
from liftwerk.errors import InputError, UnknownName, did_you_mean
from liftwerk.events.append import append_event
from liftwerk.events.consent.statements import CHANGE
from liftwerk.privacy.definition import PURPOSES
from liftwerk.store.stores import Stores

_FIXED = ("contract", "legal_obligation")


def change_consent(
    project: Project,
    stores: Stores,
    identifiers: Mapping[str, str],
    granted: Sequence[str],
    withdrawn: Sequence[str],
    source: str,
    clock: Clock,
    synthetic: bool = False,
) -> str:
    """Tell that a customer granted or withdrew consent, from now on.

    Parameters
    ----------
    project : Project
    stores : Stores
    identifiers : mapping of str to str
        Namespace -> value, as in any event; the change is about each of them.
    granted, withdrawn : sequence of str
        Declared purposes.
    source : str
        The declared source that says so.
    clock : Clock
    synthetic : bool
        Whether it is test traffic, which changes nobody's consent.

    Returns
    -------
    str
        The event's id. It counts for every reader from the next compaction on.

    Raises
    ------
    UnknownName
        If a purpose or the source is not declared.
    InputError
        If there is nothing to change, if a purpose rests on no consent, or if the event is refused.
    """
    declared = project.get(PURPOSES)
    where = "consent"
    for name in [*granted, *withdrawn]:
        if name not in declared:
            raise UnknownName(f"no purpose {name!r}", where, did_you_mean(name, declared))
        if declared[name].basis in _FIXED:
            what = f"{name} rests on {declared[name].basis}"
            raise InputError(what, where, "nobody grants it, and it can't be withdrawn")
    if not granted and not withdrawn:
        raise InputError("no purpose is named", where, "name one that is granted or withdrawn")
    event = {
        "name": CHANGE,
        "identifiers": dict(identifiers),
        "properties": {"granted": sorted(set(granted)), "withdrawn": sorted(set(withdrawn))},
        "synthetic": synthetic,
    }
    return append_event(project, stores, event, source, clock)
