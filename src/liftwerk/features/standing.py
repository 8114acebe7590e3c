"""How the views that are kept stand: how far they know the log, and whether they are held."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.errors import Refused, UnknownName
from liftwerk.features.checks.flags import read_flags
from liftwerk.features.kept import is_filled
from liftwerk.features.older import as_used, kept_names
from liftwerk.features.used import view_version
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.store.stores import Stores


class Standing(Struct, frozen=True):
    """How a view stands.

    Attributes
    ----------
    view, entity, purpose : str
    version : str
    fresh : datetime or None
        When its values were last known to be all there is; None where they were never made.
    behind : int
        Entries of the log that it doesn't know yet.
    held : str or None
        Which check keeps it at its last good state.
    """

    view: str
    entity: str
    purpose: str
    version: str
    fresh: datetime | None
    behind: int
    held: str | None


def standings(project: Project, stores: Stores, now: datetime) -> dict[str, Standing]:
    """Say how every declared view stands.

    Parameters
    ----------
    project : Project
    stores : Stores
    now : datetime

    Returns
    -------
    dict of str to Standing
        By view; nothing is counted, so that it is told at once however much is kept.
    """
    last = stores.inbox.last_offset()
    flags = read_flags(stores.online)
    found = {}
    for name in kept_names(project):
        try:
            used = as_used(project, stores.ledger, name)
        except (Refused, UnknownName):
            continue
        view = used.get(FEATURE_VIEWS)[name]
        version = view_version(used, name)
        space = f"{name.partition('@')[0]}@{version}"
        progress = stores.online.progress(space)
        fresh, behind, held = None, last, None
        if progress is not None and is_filled(progress):
            fresh, behind = progress.at, max(0, last - progress.offset)
            if not behind:
                fresh = now
        if space in flags:
            held = flags[space].reason
        told = (name, view.entity, view.purpose, version, fresh, behind, held)
        found[name] = Standing(*told)
    return found
