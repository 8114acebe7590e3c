"""``identity_map(leaf, customer, valid_from, known_from)``: who was which customer, and when.

It is derived from the events alone, for one snapshot, and kept in memory while that is the newest.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections import OrderedDict
from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pyarrow
import pyarrow.compute

from liftwerk.definitions.project import Project
from liftwerk.events.columns import leaf_columns
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.events.read import ERASURE
from liftwerk.events.schema import schema_of
from liftwerk.events.tail import Behind
from liftwerk.identity.components import FOREVER, Changes, Components, Ints
from liftwerk.identity.definition import IDENTITY, shared_leaves
from liftwerk.identity.links import APART, TOGETHER, Links, read_links
from liftwerk.privacy.permitted import NOW, AsOf
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

    def up_to(self, as_of: AsOf) -> Customers:
        """Return them with other bounds, between which nothing links."""
        same = copy.copy(self)
        same.as_of = as_of
        return same

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
    def groups(self) -> dict[bytes, bytes]:
        """Leaf -> the keys of all its customer's leaves in order, end to end, where several are."""
        members: dict[bytes, list[bytes]] = {}
        for row in self.merged.to_pylist():
            members.setdefault(row["customer"], [row["customer"]]).append(row["leaf"])
        together = (sorted(leaves) for leaves in members.values())
        return {leaf: b"".join(group) for group in together for leaf in group}

    def groups_of(self, leaves: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the groups of some leaves, as in ``groups``; of each leaf that is in one."""
        groups = {self.groups[leaf] for leaf in leaves if leaf in self.groups}
        return {g[at : at + 16]: g for g in groups for at in range(0, len(g), 16)}

    def regrouped_since(self, before: Customers) -> dict[bytes, bytes | None]:
        """Return the leaves whose group is another than before, each with its group now."""
        was, now = before.groups, self.groups
        if was is now:
            return {}
        return {leaf: now.get(leaf) for leaf in {**was, **now} if was.get(leaf) != now.get(leaf)}

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
"""Home, snapshot, buried, definitions, and what of the log can link and is known."""

_kept: OrderedDict[_Key, Customers] = OrderedDict()
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
        What came in behind its snapshot: then the customers of both. They are made anew only when
        it has another row that can link.
    """
    if tail is None:
        tail = Behind.nothing(stores.ledger.latest_snapshot())
    if not _links_at_all(project, tail):
        return None
    # No row beyond this state: a compaction may come between reading links and reading rows.
    offset = tail.offset
    if as_of.offset is not None:
        offset = min(offset, as_of.offset)
    bounded = AsOf(as_of.time, offset)
    definitions = project.section_hash(IDENTIFIERS, IDENTITY)
    buried = len(stores.ledger.buried())
    linked = AsOf(as_of.time, _last_link(project, tail, offset))
    key = (str(stores.home.path), _id_of(tail), buried, definitions, linked)
    with _lock:
        if key in _kept:
            _kept[key] = _kept[key].up_to(bounded)
            _kept.move_to_end(key)
            return _kept[key]
    made = Customers(project, read_links(project, stores, bounded, tail=tail), bounded)
    with _lock:
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def customers_to_erase(project: Project, stores: Stores) -> Customers | None:
    """Return the customers of the latest snapshot, also those who are being erased."""
    state = Behind.nothing(stores.ledger.latest_snapshot())
    if not _links_at_all(project, state):
        return None
    bounded = AsOf(None, state.offset)
    return Customers(project, read_links(project, stores, bounded, ERASURE), bounded)


def _links_at_all(project: Project, state: Behind) -> bool:
    """Say whether there can be a link: with one namespace only those told on purpose."""
    held = {*state.tables}
    if state.snapshot is not None:
        held |= {*state.snapshot.tables}
    if len(project.get(IDENTIFIERS)) > 1:
        return bool(held)
    return schema_of(project).types[TOGETHER].table in held


def _last_link(project: Project, state: Behind, offset: int) -> int:
    """Return the offset of the last row that can link, up to one; the snapshot's own at least."""
    told = [schema_of(project).types[name].table for name in (TOGETHER, APART)]
    leaves = leaf_columns(schema_of(project))
    believed = pyarrow.array(project.get(IDENTITY).linked_by, pyarrow.string())
    last = min(offset, state.since)
    for name, rows in state.tables.items():
        known = rows.select(["offset", "trust", *leaves])
        known = known.filter(pyarrow.compute.less_equal(known.column("offset"), offset))
        if name not in told:
            named = [known.column(leaf).is_valid().cast(pyarrow.int8()) for leaf in leaves]
            count = functools.reduce(pyarrow.compute.add, named, pyarrow.scalar(0, pyarrow.int8()))
            several = pyarrow.compute.greater(count, 1)
            links = pyarrow.compute.is_in(known.column("trust"), value_set=believed)
            known = known.filter(pyarrow.compute.and_(several, links))
        if known.num_rows:
            last = max(last, known.column("offset")[-1].as_py())
    return last


def _id_of(state: Behind) -> str:
    if state.snapshot is None:
        return ""
    return state.snapshot.id
