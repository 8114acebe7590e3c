"""What retention takes from the log goes from the kept values too: they are made anew without it.

Before anything goes, it is seen whom and what it is about. Afterwards the rows of these are marked,
as after an erasure, and the next step that keeps the view up to date makes them anew. Where they
are very many, or a kill came between, the view is filled anew instead: a row too many is made
again, but none goes on telling what may not be kept any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liftwerk.clock import Clock, FixedClock
from liftwerk.definitions.project import Project
from liftwerk.errors import Refused, UnknownName
from liftwerk.events.definition import known_events
from liftwerk.events.engine import quoted, text
from liftwerk.events.read import ERASURE, relations
from liftwerk.events.retain import Expired, expired
from liftwerk.events.retain import retain as take_out
from liftwerk.events.tail import Tail
from liftwerk.faults import fault
from liftwerk.features.checks.flags import FLAGS
from liftwerk.features.concerned import (
    Key,
    derived_columns,
    keys_in,
    mark,
    named_by,
    narrow,
    set_aside,
)
from liftwerk.features.entity import PEOPLE
from liftwerk.features.kept import KeptView, is_filled, kept_view
from liftwerk.features.older import as_used, drop_orphans, drop_version, kept_names
from liftwerk.identity.customers import Customers
from liftwerk.identity.mapping import customers_as_of
from liftwerk.store.online import Changes
from liftwerk.store.stores import Stores

RETAINING = "retention"
"""The space that says that rows are being taken out, and kept values not marked yet."""

MOST_MARKS = 100_000
"""Of more keys a view is not mended, but filled anew."""


def retain(project: Project, stores: Stores, clock: Clock, most: int = MOST_MARKS) -> list[Expired]:
    """Take out what is older than it may be, and have kept values made anew without it.

    Parameters
    ----------
    project : Project
    stores : Stores
        The caller holds the home.
    clock : Clock
    most : int
        Keys of a view that are marked at most.

    Returns
    -------
    list of Expired
        What went. Again at the same time, nothing does.
    """
    now = clock.now()
    views = _views(project, stores)
    if stores.online.progress(RETAINING) is not None:
        # Somebody was killed before rows were marked, and whom these were about is gone.
        for kept in views:
            _fill_anew(stores, kept)
        stores.online.drop(RETAINING)
    due = expired(project, stores, now)
    if not due:
        return []
    drop_orphans(project, stores)
    if not views:
        return take_out(project, stores, FixedClock(now))
    filled = [kept for kept in views if is_filled(stores.online.progress(kept.space))]
    concerned = {kept.name: _keys(project, stores, kept, due) for kept in filled}
    before = _customers(project, stores)
    with fault("retention_intent"):
        intent = Changes(stores.online.progress(RETAINING), [(b"began", b"")])
        stores.online.apply({RETAINING: intent}, 0, now)
    gone = take_out(project, stores, FixedClock(now))
    moved = _moved(before, _customers(project, stores))
    for kept in views:
        keys = concerned.get(kept.name, set())
        if moved and kept.name in concerned:
            keys |= named_by(project, stores, kept, moved)
            if kept.entity in PEOPLE:
                keys |= {(leaf,) for leaf in moved}
        is_whole = kept.name in concerned and is_filled(stores.online.progress(kept.space))
        # A fill that was under way may have read what is gone.
        if is_whole and len(keys) <= most:
            mark(stores, kept, keys)
        else:
            _fill_anew(stores, kept)
    stores.online.drop(FLAGS)  # a worst value may have been of what went; it is raised again
    stores.online.drop(RETAINING)
    return gone


def _views(project: Project, stores: Stores) -> list[KeptView]:
    found = []
    for name in kept_names(project):
        try:
            found.append(kept_view(as_used(project, stores.ledger, name), name))
        except (Refused, UnknownName):
            # What can't be made anew must not outlive what it is made of.
            drop_version(stores.online, name)
    return found


def _fill_anew(stores: Stores, kept: KeptView) -> None:
    for space in kept.spaces:
        stores.online.drop(space)


def _keys(project: Project, stores: Stores, kept: KeptView, due: Sequence[Expired]) -> set[Key]:
    """Return whom what goes is about, and other reports of the same conversions."""
    names = [name for name in kept.events if any(one.event == name for one in due)]
    if not names:
        return set()
    declared = known_events(project)
    derived = derived_columns(project)
    with relations(project, stores, ERASURE, derived=derived, names=names) as connection:
        present = {name: connection.sql(f"SELECT * FROM {quoted(name)}").columns for name in names}
        set_aside(connection, names)
        for name in names:
            limits = [one for one in due if one.event == name]
            goes = " OR ".join(_goes(one, present[name]) for one in limits)
            if declared[name].unique:
                same = ", ".join(map(quoted, declared[name].unique))
                every = quoted(f"_all_{name}")
                goes += f" OR ({same}) IN (SELECT ({same}) FROM {every} WHERE {goes})"
            narrow(connection, name, goes)
        return keys_in(connection, kept, names)


def _goes(one: Expired, present: Sequence[str]) -> str:
    """Write which rows lose what is too old."""
    too_old = f"time < TIMESTAMPTZ {text(one.before.isoformat())}"
    if one.property is None:
        return too_old
    if one.property not in present:
        return "FALSE"  # no feature reads what is declared no longer
    return f"({too_old} AND {quoted(one.property)} IS NOT NULL)"


def _customers(project: Project, stores: Stores) -> Customers | None:
    with Tail(project, stores).reading() as behind:
        return customers_as_of(project, stores, tail=behind)


def _moved(before: Customers | None, now: Customers | None) -> list[bytes]:
    """Say who belongs together with others, now that what linked them is gone."""
    if before is None or now is None:
        return []
    moved: Mapping[bytes, bytes | None] = now.regrouped_since(before)
    return list(moved)
