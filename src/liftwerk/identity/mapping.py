"""``identity_map(leaf, customer, valid_from, known_from)``: who was which customer, and when.

It is derived from the events alone, for one state of the log, and kept in memory: the next state's
follows from it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow
import pyarrow.compute

from liftwerk.definitions.project import Project
from liftwerk.events.columns import leaf_columns
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import ERASURE
from liftwerk.events.rows import gone
from liftwerk.events.schema import schema_of
from liftwerk.events.state import has_same_rows
from liftwerk.events.tail import Behind
from liftwerk.identity.customers import TIME, Customers
from liftwerk.identity.definition import IDENTITY
from liftwerk.identity.links import APART, TOGETHER, read_links
from liftwerk.identity.parts import Rules
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

KEPT = 4
"""Maps that are kept in memory: a run asks for few different as-of bounds."""


def identity_map(project: Project, stores: Stores, as_of: AsOf = NOW) -> pyarrow.Table:
    """Return who was which customer, and when.

    Parameters
    ----------
    project : Project
    stores : Stores
    as_of : AsOf
        What may be known.

    Returns
    -------
    pyarrow.Table
        One row each time a leaf came to another customer, in the order of leaf and time: ``leaf``,
        ``customer`` (binary), ``valid_from`` (when what links them happened), ``known_from`` and
        ``known_offset`` (when it was learnt), ``since`` (the first as-of time at which a row may
        use it) and ``until`` (the first at which it is no longer so; null if it still is). Before
        its first row, a leaf is its own customer, and so is one that has no row.
    """
    customers = customers_as_of(project, stores, as_of)
    if customers is None:
        return _NOBODY
    return customers.table()


_NOBODY = pyarrow.schema(
    [
        ("leaf", pyarrow.binary()),
        ("customer", pyarrow.binary()),
        ("valid_from", TIME),
        ("known_from", TIME),
        ("known_offset", pyarrow.int64()),
        ("since", TIME),
        ("until", TIME),
    ]
).empty_table()


class _Kept(NamedTuple):
    """Customers that were asked for.

    ``first`` and ``last`` are the offsets of the log between which they are the customers.
    """

    of: tuple[object, ...]
    snapshot: Snapshot | None
    first: int
    last: int
    customers: Customers


_kept: list[_Kept] = []
_lock = threading.Lock()


def customers_as_of(
    project: Project, stores: Stores, as_of: AsOf = NOW, tail: Behind | None = None
) -> Customers | None:
    """Return the customers of the latest snapshot; None where nothing can be linked.

    Parameters
    ----------
    project : Project
    stores : Stores
    as_of : AsOf
        What may be known.
    tail : Behind, optional
        What came in behind its snapshot: then the customers of both.

    Notes
    -----
    Those of a later state are continued from those that were asked for last, and cost what came in
    since. They are made anew, from the whole log, when rows were taken out of the tables (an
    erasure, a retention): what was said of others may have stood in them, too.
    """
    with stores.tables.reading():
        if tail is None:
            tail = Behind.nothing(stores.ledger.latest_snapshot())
        if not _links_at_all(project, tail):
            return None
        # No row beyond this state: a compaction may come between reading links and reading rows.
        offset = tail.offset
        if as_of.offset is not None:
            offset = min(offset, as_of.offset)
        bounded = AsOf(as_of.time, offset)
        of = _of(project, stores, as_of)
        found = _found(project, stores, bounded, tail, of)
    # The ones that are returned are kept: what is derived from them is derived once.
    found = found._replace(customers=found.customers.up_to(bounded))
    with _lock:
        _kept[:] = [
            one for one in _kept if one.of != of or not one.customers.is_state_of(found.customers)
        ][-KEPT + 1 :]
        _kept.append(found)
    return found.customers


def _of(project: Project, stores: Stores, as_of: AsOf) -> tuple[object, ...]:
    """Say what customers depend on beside the rows of the log up to an offset."""
    schema = schema_of(project)
    tables = frozenset(kind.table for name in schema.types for kind in schema.versions(name))
    definitions = project.section_hash(IDENTIFIERS, IDENTITY)
    erased = len(stores.ledger.buried()), len(gone(stores))
    return str(stores.home.path), definitions, tables, erased, as_of.time


def _found(
    project: Project, stores: Stores, as_of: AsOf, tail: Behind, of: tuple[object, ...]
) -> _Kept:
    """Find customers among those that are kept, continue some, or make them."""
    offset = as_of.offset
    assert offset is not None
    with _lock:
        kept = [one for one in _kept if one.of == of]
    kept = [one for one in kept if has_same_rows(stores.ledger, one.snapshot, tail.snapshot)]
    for one in kept:
        if one.first <= offset <= one.last:
            return one._replace(snapshot=tail.snapshot)
    older = [one for one in kept if one.last < offset]
    if not older:
        links = read_links(project, stores, as_of, tail=tail)
        made = Customers.made_of(Rules.of(project), links, as_of)
        return _Kept(of, tail.snapshot, made.told_last, offset, made)
    before = max(older, key=lambda one: one.last)
    names = None
    if tail.since <= before.last:
        names = _linking(project, tail, before.last, offset)
        if not names:
            return before._replace(snapshot=tail.snapshot, last=offset)
    more = read_links(project, stores, as_of, tail=tail, names=names, after_offset=before.last)
    after = before.customers.continued(more, as_of)
    if after.is_state_of(before.customers):
        return before._replace(snapshot=tail.snapshot, last=offset)
    return _Kept(of, tail.snapshot, after.told_last, offset, after)


def customers_to_erase(project: Project, stores: Stores) -> Customers | None:
    """Return the customers of the latest snapshot, also those who are being erased."""
    state = Behind.nothing(stores.ledger.latest_snapshot())
    if not _links_at_all(project, state):
        return None
    bounded = AsOf(None, state.offset)
    links = read_links(project, stores, bounded, ERASURE)
    return Customers.made_of(Rules.of(project), links, bounded)


def _links_at_all(project: Project, state: Behind) -> bool:
    """Say whether there can be a link: with one namespace only those told on purpose."""
    held = {*state.tables}
    if state.snapshot is not None:
        held |= {*state.snapshot.tables}
    if len(project.get(IDENTIFIERS)) > 1:
        return bool(held)
    return schema_of(project).types[TOGETHER].table in held


def _linking(project: Project, state: Behind, after: int, last: int) -> list[str]:
    """Name the events that have rows behind an offset, up to another, that can link."""
    schema = schema_of(project)
    leaves = leaf_columns(schema)
    believed = pyarrow.array(project.get(IDENTITY).linked_by, pyarrow.string())
    found = []
    for name in schema.types:
        for kind in schema.versions(name):
            if kind.table not in state.tables:
                continue
            rows = state.tables[kind.table].select(["offset", "trust", *leaves])
            offsets = rows.column("offset")
            is_new = pyarrow.compute.and_(
                pyarrow.compute.greater(offsets, after), pyarrow.compute.less_equal(offsets, last)
            )
            rows = rows.filter(is_new)
            if name not in (TOGETHER, APART):
                rows = rows.filter(_links(rows, leaves, believed))
            if rows.num_rows:
                found.append(name)
    return list(dict.fromkeys(found))


def _links(
    rows: pyarrow.Table, leaves: Sequence[str], believed: pyarrow.Array
) -> pyarrow.ChunkedArray:
    """Say which rows name several identifiers, by a source whose word links."""
    named = [rows.column(leaf).is_valid().cast(pyarrow.int8()) for leaf in leaves]
    count = functools.reduce(pyarrow.compute.add, named, pyarrow.scalar(0, pyarrow.int8()))
    is_believed = pyarrow.compute.is_in(rows.column("trust"), value_set=believed)
    return pyarrow.compute.and_(pyarrow.compute.greater(count, 1), is_believed)
