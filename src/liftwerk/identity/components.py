"""From links to customers: who was one customer with whom, and from when on a row may know it.

As of a time t, the links that could be known by then make a graph of leaf keys, and each of its
connected components is a customer, except that

1. a leaf that is shared links nobody: by declaration always, by its number of links from the
   moment on at which the link that was one too many could be known;
2. two leaves that were told apart stay apart, until they are told to be together again: links are
   taken in the order in which they became known, and one that would bring the two together is left
   out.

A component's key is the leaf key of its surest namespace (in declared order), the earliest known
of those. So the state at t is a function of what was known at t, and of nothing else.

All states come from one pass: leaves that ever hang together are a *family*, and the k-th change of
every family is reckoned in one go, with arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftwerk.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import sparse
    from scipy.sparse import csgraph
else:
    sparse = LazyModule("scipy.sparse")
    csgraph = LazyModule("scipy.sparse.csgraph")

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

FOREVER = int(np.iinfo(np.int64).max)
NEVER = int(np.iinfo(np.int64).min)


class Facts(NamedTuple):
    """Pairs of leaves and when they were told of, m of each; times are microseconds.

    Leaves are numbers in the order of their rank: a component's key is the smallest in it.
    """

    a: Ints
    b: Ints
    since: Ints
    time: Ints
    known: Ints
    offset: Ints

    def take(self, which: Flags | Ints) -> Facts:
        """Return some of them."""
        return Facts(*(column[which] for column in self))


class Changes(NamedTuple):
    """When a leaf came to another customer: one row a change, in the order of leaf and time.

    ``time``, ``known`` and ``offset`` are those of the event that made the change, ``since`` is
    when a row may know it first, ``until`` when the next change ends it.
    """

    leaf: Ints
    customer: Ints
    since: Ints
    until: Ints
    time: Ints
    known: Ints
    offset: Ints


class Components:
    """The customers that some links make.

    Parameters
    ----------
    space : (n,) int64
        The namespace of each leaf, by its declared place.
    links : Facts
        One a pair: when it could be known first.
    said : Facts
        Statements on pairs.
    apart : (s,) bool
        Whether a statement tells two leaves apart, or together.
    anonymous : sequence of bool
        For each namespace, whether it knows visitors only: their number makes nothing shared.
    at_most : int
        A leaf that is linked to more others of one namespace is shared.
    shared : (k,) int64
        Leaves that are shared by declaration.

    Examples
    --------
    >>> one, two, three = np.eye(3, dtype=np.int64)
    >>> when = np.array([10, 20])
    >>> links = Facts(np.array([0, 1]), np.array([1, 2]), when, when, when, np.array([1, 2]))
    >>> none = Facts(*(np.array([], np.int64) for _ in range(6)))
    >>> made = Components(
    ...     np.array([0, 1, 1]), links, none, np.array([], bool), [False, False], 10, none.a
    ... )
    >>> made.latest().tolist()
    [0, 0, 0]
    >>> changes = made.changes()
    >>> list(zip(changes.leaf.tolist(), changes.customer.tolist(), changes.since.tolist()))
    [(1, 0, 10), (2, 0, 20)]
    """

    def __init__(
        self,
        space: Ints,
        links: Facts,
        said: Facts,
        apart: Flags,
        anonymous: Sequence[bool],
        at_most: int,
        shared: Ints,
    ) -> None:
        self.size = len(space)
        self.all_links = links
        counts = ~np.array([*anonymous, False], bool)[space]
        self.one_too_many = _one_too_many(links, space, counts, at_most)
        last = np.full(self.size, FOREVER)
        crossed = self.one_too_many >= 0
        last[crossed] = links.since[self.one_too_many[crossed]]
        last[shared] = NEVER
        self.last = last
        until = np.minimum(last[links.a], last[links.b])
        counted = links.since < until
        self.links = links.take(counted)
        self.until = until[counted]
        self.family = _connected(self.size, self.links.a, self.links.b)
        # What was said of two leaves that never met, or never told apart, changes nothing.
        ever = _pair(said.a, said.b, self.size)
        matters = np.isin(ever, ever[apart]) & (self.family[said.a] == self.family[said.b])
        self.said = said.take(matters)
        self.apart = apart[matters]

    @cached_property
    def together(self) -> Ints:
        """Each leaf's component by all links, whoever was told apart: its smallest leaf, (n,)."""
        present = self.until == FOREVER
        return _smallest(self.size, self.links.a[present], self.links.b[present])

    def latest(self) -> Ints:
        """Return each leaf's customer once everything is known, (n,)."""
        present = self.links.take(self.until == FOREVER)
        apart = self._apart_at(np.arange(len(self.said.a)), FOREVER)
        return self._kept_apart(np.arange(self.size), self.together, present, apart)

    def changes(self) -> Changes:
        """Return every change of a leaf's customer."""
        instants = self._instants()
        number = np.bincount(instants.family, minlength=self.size)
        first = np.cumsum(number) - number
        customer, leaf = np.arange(self.size), np.arange(self.size)
        links, until, said = self.links, self.until, np.arange(len(self.said.a))
        found = []
        for k in range(int(number.max(initial=0))):
            # Families without a k-th change are done: they are not looked at again.
            leaf = leaf[number[self.family[leaf]] > k]
            going = number[self.family[links.a]] > k
            links, until = links.take(going), until[going]
            said = said[number[self.family[self.said.a[said]]] > k]
            now = instants.since[first[self.family[links.a]] + k]
            present = links.take((links.since <= now) & (now < until))
            state = leaf[_smallest(len(leaf), *_places(leaf, present.a, present.b))]
            now = instants.since[first[self.family[self.said.a[said]]] + k]
            state = self._kept_apart(leaf, state, present, self._apart_at(said, now))
            moved = state != customer[leaf]
            cause = first[self.family[leaf[moved]]] + k
            found.append((leaf[moved], state[moved], cause))
            customer[leaf] = state
        return _in_order(found, instants)

    def _instants(self) -> _Instants:
        """List when anything changes in a family, and the event that did it; the last of equals."""
        ends = self.until < FOREVER
        # A link stops to count by the link that was one too many for one of its ends.
        a, b = self.links.a[ends], self.links.b[ends]
        by = np.where(self.last[a] <= self.last[b], self.one_too_many[a], self.one_too_many[b])
        stopped = self.all_links.take(by)
        facts = (self.links, stopped._replace(since=self.until[ends]), self.said)
        family = self.family[np.concatenate([self.links.a, a, self.said.a])]
        since, time, known, offset = (
            np.concatenate([fact[column] for fact in facts]) for column in range(2, 6)
        )
        order = np.lexsort((offset, since, family))
        family, since = family[order], since[order]
        is_last = np.ones(len(order), bool)
        is_last[:-1] = (family[1:] != family[:-1]) | (since[1:] != since[:-1])
        kept = order[is_last]
        return _Instants(family[is_last], since[is_last], time[kept], known[kept], offset[kept])

    def _apart_at(self, which: Ints, at: Ints | int) -> Ints:
        """Return of some statements those that tell apart and are the last of their pair at a time.

        The last is the last of the log.
        """
        which = which[self.said.since[which] <= at]
        pair = _pair(self.said.a[which], self.said.b[which], self.size)
        order = np.lexsort((self.said.offset[which], pair))
        is_last = np.ones(len(order), bool)
        is_last[:-1] = pair[order][1:] != pair[order][:-1]
        last = which[order[is_last]]
        return np.asarray(last[self.apart[last]], np.int64)

    def _kept_apart(self, leaf: Ints, customer: Ints, links: Facts, apart: Ints) -> Ints:
        """Redo the components that hold two leaves which were told apart: they are few."""
        a, b = self.said.a[apart], self.said.b[apart]
        at_a, at_b = _places(leaf, a, b)
        broken = customer[at_a] == customer[at_b]
        if not broken.any():
            return customer
        contested = np.unique(customer[at_a[broken]])
        inside = links.take(np.isin(customer[np.searchsorted(leaf, links.a)], contested))
        inside = inside.take(np.lexsort((inside.offset, inside.since)))
        groups = _Groups(zip(a[broken].tolist(), b[broken].tolist(), strict=True))
        for one, other in zip(inside.a.tolist(), inside.b.tolist(), strict=True):
            groups.join(one, other)
        redone = customer.copy()
        for place in np.flatnonzero(np.isin(customer, contested)).tolist():
            redone[place] = groups.key(int(leaf[place]))
        return redone


class _Instants(NamedTuple):
    family: Ints
    since: Ints
    time: Ints
    known: Ints
    offset: Ints


class _Groups:
    """Groups of leaves that grow link by link, but never over a pair that is kept apart."""

    def __init__(self, apart: Iterable[tuple[int, int]]) -> None:
        self._members: dict[int, set[int]] = {}
        self._apart: dict[int, set[int]] = {}
        for one, other in apart:
            self._apart.setdefault(one, set()).add(other)
            self._apart.setdefault(other, set()).add(one)

    def join(self, one: int, other: int) -> None:
        """Take two leaves' groups together, if that is allowed."""
        mine, theirs = self._of(one), self._of(other)
        if mine is theirs:
            return
        if any(self._apart.get(leaf, set()) & theirs for leaf in mine):
            return
        mine |= theirs
        for leaf in theirs:
            self._members[leaf] = mine

    def key(self, leaf: int) -> int:
        """Return the leaf of the highest rank in a leaf's group."""
        return min(self._of(leaf))

    def _of(self, leaf: int) -> set[int]:
        return self._members.setdefault(leaf, {leaf})


def _one_too_many(links: Facts, space: Ints, counts: Flags, at_most: int) -> Ints:
    """Find for each leaf the first link that was one too many, (n,); -1 where none was."""
    found = np.full(len(space), -1)
    ends = np.concatenate([links.a, links.b])
    others = np.concatenate([links.b, links.a])
    link = np.tile(np.arange(len(links.a)), 2)
    kept = counts[others]
    ends, others, link = ends[kept], others[kept], link[kept]
    group = ends * (int(space.max(initial=0)) + 1) + space[others]
    order = np.lexsort((link, links.offset[link], links.since[link], group))
    group = group[order]
    begins = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
    rank = np.arange(len(group)) - np.repeat(begins, np.diff(np.append(begins, len(group))))
    crossing = order[rank == at_most]
    # A leaf may have too many others of two namespaces: the earlier counts.
    by_time = np.lexsort((links.offset[link[crossing]], links.since[link[crossing]]))
    late_first = crossing[by_time][::-1]
    found[ends[late_first]] = link[late_first]
    return found


def _connected(size: int, a: Ints, b: Ints) -> Ints:
    graph = sparse.coo_matrix((np.ones(len(a), np.int32), (a, b)), shape=(size, size))
    _, labels = csgraph.connected_components(graph, directed=False)
    return np.asarray(labels, np.int64)


def _smallest(size: int, a: Ints, b: Ints) -> Ints:
    """Return for each of n numbers the smallest of its component."""
    labels = _connected(size, a, b)
    # Labels are numbered as they are met: the first of each is its smallest.
    _, first = np.unique(labels, return_index=True)
    return np.asarray(first[labels], np.int64)


def _places(leaf: Ints, a: Ints, b: Ints) -> tuple[Ints, Ints]:
    return np.searchsorted(leaf, a), np.searchsorted(leaf, b)


def _pair(a: Ints, b: Ints, size: int) -> Ints:
    return np.minimum(a, b) * size + np.maximum(a, b)


def _in_order(found: Sequence[tuple[Ints, Ints, Ints]], instants: _Instants) -> Changes:
    """Put the changes of all rounds together, each with when the next one ends it."""
    empty = np.array([], np.int64)
    leaf, customer, cause = (
        np.concatenate([empty, *(one[column] for one in found)]) for column in range(3)
    )
    order = np.lexsort((instants.since[cause], leaf))
    leaf, customer, cause = leaf[order], customer[order], cause[order]
    since = instants.since[cause]
    until = np.full(len(leaf), FOREVER)
    is_followed = leaf[1:] == leaf[:-1]
    until[:-1][is_followed] = since[1:][is_followed]
    time, known, offset = (column[cause] for column in instants[2:])
    return Changes(leaf, customer, since, until, time, known, offset)
