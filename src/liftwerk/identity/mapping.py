"""``identity_map(leaf, customer, valid_from, known_from)``: who was which customer, and when.

It is derived from the events alone, for one snapshot, and kept in memory while that is the newest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property

import numpy as np
import pyarrow
import pyarrow.compute

from liftwerk.definitions.project import Project
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import ERASURE
from liftwerk.events.schema import schema_of
from liftwerk.identity.components import FOREVER, Changes, Components, Ints
from liftwerk.identity.definition import IDENTITY, shared_leaves
from liftwerk.identity.links import TOGETHER, Links, read_links
from liftwerk.privacy.permitted import NOW, AsOf
from liftwerk.store.ledger.protocol import Snapshot
from liftwerk.store.stores import Stores

KEPT = 4
"""Maps that are kept in memory: a run asks for few different as-of bounds."""

_TIME = pyarrow.timestamp("us", "UTC")


class Customers:
    """The customers of one snapshot, as of some knowledge.

    Parameters
    ----------
    project : Project
    links : Links
        What was known.
    as_of : AsOf
        Bounds that a reader of the same snapshot has to keep.
    """

    def __init__(self, project: Project, links: Links, as_of: AsOf) -> None:
        self.links = links
        self.as_of = as_of
        identity = project.get(IDENTITY)
        declared = pyarrow.array(shared_leaves(project), pyarrow.binary())
        leaves = links.leaves.cast(pyarrow.binary())
        shared = pyarrow.compute.is_in(leaves, declared).to_numpy(zero_copy_only=False)
        self.components = Components(
            links.space,
            links.links,
            links.said,
            links.apart,
            [one.anonymous for one in project.get(IDENTIFIERS).values()],
            identity.at_most,
            np.flatnonzero(shared),
        )

    @cached_property
    def latest(self) -> Ints:
        """Each leaf's customer, as numbers of leaves."""
        return self.components.latest()

    @cached_property
    def merged(self) -> pyarrow.Table:
        """``leaf``, ``customer``: the leaves that are known by another's key."""
        leaf = np.flatnonzero(self.latest != np.arange(len(self.latest)))
        return pyarrow.table({"leaf": self._keys(leaf), "customer": self._keys(self.latest[leaf])})

    @cached_property
    def changes(self) -> Changes:
        """Every change of a leaf's customer."""
        return self.components.changes()

    @cached_property
    def states(self) -> pyarrow.Table:
        """``leaf``, ``customer``, ``since``, ``until`` (microseconds): for as-of joins."""
        changes = self.changes
        return pyarrow.table(
            {
                "leaf": self._keys(changes.leaf),
                "customer": self._keys(changes.customer),
                "since": pyarrow.array(changes.since),
                "until": pyarrow.array(changes.until),
            }
        )

    def table(self) -> pyarrow.Table:
        """Return the map as `identity_map` describes it."""
        changes = self.changes
        ends = pyarrow.array(changes.until, mask=changes.until == FOREVER)
        return pyarrow.table(
            {
                "leaf": self._keys(changes.leaf),
                "customer": self._keys(changes.customer),
                "valid_from": pyarrow.array(changes.time).cast(_TIME),
                "known_from": pyarrow.array(changes.known).cast(_TIME),
                "known_offset": pyarrow.array(changes.offset),
                "since": pyarrow.array(changes.since).cast(_TIME),
                "until": ends.cast(_TIME),
            }
        )

    def _keys(self, numbers: Ints) -> pyarrow.Array:
        return self.links.leaves.take(pyarrow.array(numbers)).cast(pyarrow.binary())


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
        ("valid_from", _TIME),
        ("known_from", _TIME),
        ("known_offset", pyarrow.int64()),
        ("since", _TIME),
        ("until", _TIME),
    ]
).empty_table()

_Key = tuple[str, str, int, str, AsOf]
_kept: OrderedDict[_Key, Customers] = OrderedDict()
_lock = threading.Lock()


def customers_as_of(project: Project, stores: Stores, as_of: AsOf = NOW) -> Customers | None:
    """Return the customers of the latest snapshot; None where nothing can be linked.

    Parameters
    ----------
    project : Project
    stores : Stores
    as_of : AsOf
        What may be known.
    """
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None or not _links_at_all(project, snapshot):
        return None
    # No row beyond the snapshot: a compaction may come between reading links and reading rows.
    offset = snapshot.inbox_offset
    if as_of.offset is not None:
        offset = min(offset, as_of.offset)
    bounded = AsOf(as_of.time, offset)
    definitions = project.section_hash(IDENTIFIERS, IDENTITY)
    buried = len(stores.ledger.buried())
    key = (str(stores.home.path), snapshot.id, buried, definitions, bounded)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    made = Customers(project, read_links(project, stores, bounded), bounded)
    with _lock:
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def customers_to_erase(project: Project, stores: Stores) -> Customers | None:
    """Return the customers of the latest snapshot, also those who are being erased."""
    snapshot = stores.ledger.latest_snapshot()
    if snapshot is None or not _links_at_all(project, snapshot):
        return None
    bounded = AsOf(None, snapshot.inbox_offset)
    return Customers(project, read_links(project, stores, bounded, ERASURE), bounded)


def _links_at_all(project: Project, snapshot: Snapshot) -> bool:
    """Say whether there can be a link: with one namespace only those told on purpose."""
    if len(project.get(IDENTIFIERS)) > 1:
        return True
    return schema_of(project).types[TOGETHER].table in snapshot.tables
