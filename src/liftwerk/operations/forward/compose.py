"""What may be sent of some entries, read for the purpose as of now, and parted into requests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import datetime
from typing import Any

from liftwerk.connectors.destinations.definition import Destination
from liftwerk.connectors.destinations.exchange import Message
from liftwerk.connectors.destinations.message import message_of
from liftwerk.definitions.project import Project
from liftwerk.events.columns import LEAF
from liftwerk.events.definition import known_events
from liftwerk.events.delivery.seal import opened
from liftwerk.events.engine import quoted
from liftwerk.events.read import identifier_values
from liftwerk.identity.resolve import relations
from liftwerk.operations.forward.take import TOLD_BEFORE, WITHDRAWN
from liftwerk.store.outbox.protocol import Entry
from liftwerk.store.stores import Stores

NO_LONGER_SENT = "an event that is no longer sent there"

Pair = tuple[Entry, Message]


def messages_of(
    project: Project,
    stores: Stores,
    name: str,
    destination: Destination,
    entries: Sequence[Entry],
    now: datetime,
) -> tuple[list[Pair], dict[int, str]]:
    """Read the entries' events for the destination's purpose.

    Parameters
    ----------
    project : Project
    stores : Stores
    name : str
        The destination.
    destination : Destination
    entries : sequence of Entry
    now : datetime

    Returns
    -------
    list of (Entry, Message)
        What may be sent now, in the order given.
    dict of int to str
        Offset -> why an event must not be sent any more.
    """
    sent = {one.event for one in destination.events}
    rows = _rows(project, stores, destination, [one for one in entries if one.event in sent])
    values = _values(project, stores, destination, list(rows.values()))
    delivery = {}
    if destination.delivery:
        # Only of what may be sent now is anything opened.
        ids = [row["id"] for row in rows.values()]
        delivery = {
            event_id: opened(sealed, destination.purpose, stores.day_keys)
            for event_id, sealed in stores.outbox.sealed(name, ids, now).items()
        }
    declared = known_events(project)
    spoken = {one.conversion for one in entries if one.offset in rows} - {None}
    pairs, dropped = [], {}
    for entry in entries:
        row = rows.get(entry.offset)
        if entry.event not in sent:
            dropped[entry.offset] = NO_LONGER_SENT
        elif row is None and entry.conversion in spoken:
            dropped[entry.offset] = TOLD_BEFORE
        elif row is None:
            dropped[entry.offset] = WITHDRAWN
        else:
            definition = declared[entry.event]
            message = message_of(
                destination,
                definition,
                project.currency,
                entry.event,
                row,
                entry.lane,
                values,
                delivery.get(row["id"], {}),
            )
            pairs.append((entry, message))
    return pairs, dropped


def requests_of(
    pairs: Sequence[Pair],
    together: Callable[[Message], Hashable],
    most: Callable[[Entry], int],
) -> list[list[Pair]]:
    """Part events into requests, so that each lane stays in the order of the log.

    Parameters
    ----------
    pairs : sequence of (Entry, Message)
        In the order of the log.
    together : callable
        What the messages of one request share.
    most : callable
        Most events of a request that holds an entry.

    Returns
    -------
    list of list of (Entry, Message)
        To be sent one after the other.
    """
    groups: list[list[Pair]] = []
    limits: list[int] = []
    current: dict[Hashable, int] = {}
    last_of_lane: dict[bytes, int] = {}
    for entry, message in pairs:
        shared = together(message)
        limit = most(entry)
        place = current.get(shared)
        is_open = place is not None and len(groups[place]) < min(limits[place], limit)
        if place is None or not is_open or last_of_lane.get(entry.lane, -1) > place:
            place = len(groups)
            groups.append([])
            limits.append(limit)
            current[shared] = place
        groups[place].append((entry, message))
        limits[place] = min(limits[place], limit)
        last_of_lane[entry.lane] = place
    return groups


def _rows(
    project: Project, stores: Stores, destination: Destination, entries: Sequence[Entry]
) -> dict[int, dict[str, Any]]:
    names = sorted({entry.event for entry in entries})
    found: dict[int, dict[str, Any]] = {}
    if not names:
        return found
    with relations(project, stores, destination.purpose, names=names) as connection:
        for name in names:
            offsets = [entry.offset for entry in entries if entry.event == name]
            table = connection.sql(
                f'SELECT * FROM {quoted(name)} WHERE "offset" BETWEEN {min(offsets)}'
                f' AND {max(offsets)} AND "offset" IN ({", ".join(map(str, offsets))})'
            ).to_arrow_table()
            found.update((row["offset"], row) for row in table.to_pylist())
    return found


def _values(
    project: Project, stores: Stores, destination: Destination, rows: Sequence[dict[str, Any]]
) -> dict[bytes, str]:
    leaves = set(_leaves(destination, rows))
    if not leaves:
        return {}
    table = identifier_values(project, stores, destination.purpose, sorted(leaves))
    keys = table.column("leaf").to_pylist()
    return dict(zip(keys, table.column("value").to_pylist(), strict=True))


def _leaves(destination: Destination, rows: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        for identifier in destination.identifiers.values():
            leaf = row.get(f"{LEAF}{identifier.namespace}")
            if leaf is not None:
                yield leaf
