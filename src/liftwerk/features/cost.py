"""What it takes to bring views up to the end of the log, said before it is done."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.events.size import size_of
from liftwerk.features.fill import parts_of
from liftwerk.features.kept import KeptView, is_filled
from liftwerk.store.stores import Stores


class Cost(Struct, frozen=True):
    """What one view takes.

    Attributes
    ----------
    view : str
    fills : bool
        Whether it is made from the whole log; otherwise it follows from where it stands.
    rows : int
        To be read: of the events of the view, and what is not sorted into tables yet; or what the
        log has behind where the view stands.
    bytes : int
        Of the files that they are in; 0 where it follows, since of those only the ends are read.
    parts : int
        In which it is filled, one after another; 0 where it follows.
    """

    view: str
    fills: bool
    rows: int
    bytes: int
    parts: int


def costs(project: Project, stores: Stores, views: Iterable[KeptView]) -> list[Cost]:
    """Say what some views take.

    Parameters
    ----------
    project : Project
    stores : Stores
    views : iterable of KeptView
    """
    last = stores.inbox.last_offset()
    found = []
    for kept in views:
        progress = stores.online.progress(kept.space)
        if progress is not None and is_filled(progress):
            found.append(Cost(kept.name, False, last - progress.offset, 0, 0))
        else:
            size = size_of(project, stores, kept.events)
            rows = size.rows + size.waiting
            found.append(Cost(kept.name, True, rows, size.bytes, parts_of(kept, last)))
    return found
