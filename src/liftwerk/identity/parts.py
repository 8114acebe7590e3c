"""Some customers with all that was said of them, which is all that they depend on."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from liftwerk.definitions.project import Project
from liftwerk.events.identifiers import IDENTIFIERS
from liftwerk.identity.components import FOREVER, Components, Facts, Flags, Ints
from liftwerk.identity.definition import IDENTITY, shared_leaves
from liftwerk.identity.keys import Keys, Places, in_one
from liftwerk.identity.links import Links


class Rules(NamedTuple):
    """What the project declares of links."""

    anonymous: list[bool]
    at_most: int
    shared: Keys

    @classmethod
    def of(cls, project: Project) -> Rules:
        """Read them from the project."""
        anonymous = [one.anonymous for one in project.get(IDENTIFIERS).values()]
        return cls(anonymous, project.get(IDENTITY).at_most, in_one(shared_leaves(project)))


class Part:
    """The customers of some leaves, as of now.

    Parameters
    ----------
    rules : Rules
    links : Links
        All that was said of these leaves, and of no others.
    own : (n,) bool
        Which leaves it knows whose they are. The others stand at the other end of what was said of
        those, and are no customers of them: they are shared, or told apart.
    """

    def __init__(self, rules: Rules, links: Links, own: Flags) -> None:
        self.links = links
        self.own = own
        declared = np.isin(links.keys, rules.shared)
        self.components = Components(
            links.space,
            links.links,
            links.said,
            links.apart,
            rules.anonymous,
            rules.at_most,
            np.flatnonzero(declared | ~own),
        )

    @cached_property
    def told_last(self) -> int:
        """The offset of the last event that tells anything of them; 0 where nothing is told."""
        links, said = self.links.links.offset, self.links.said.offset
        return int(max(links.max(initial=0), said.max(initial=0)))

    @cached_property
    def places(self) -> Places:
        """Where each key stands."""
        return Places(self.links.keys)

    @cached_property
    def latest(self) -> Ints:
        """Each leaf's customer, as numbers of leaves."""
        return self.components.latest()

    def is_shared(self, leaves: Ints) -> Flags:
        """Say which leaves link nobody any more, whatever comes."""
        return self.components.last[leaves] < FOREVER

    def together(self, leaves: Ints) -> Ints:
        """Return all that hang together with some leaves, whoever was told apart."""
        return self._together.having(np.unique(self.components.together[leaves]))

    def about(self, keys: Keys) -> Links:
        """Return what was said of some leaves."""
        leaves = self.places.of(keys)
        leaves = leaves[leaves >= 0]
        found = [ends.having(leaves) for ends in (*self._links, *self._said)]
        links, said = (np.unique(np.concatenate(both)) for both in (found[:2], found[2:]))
        return self.links.choose(links, said)

    def knows(self, more: Links) -> Flags:
        """Say which of other links tell nothing new: they are known, and no later."""
        place = self.places.of(more.keys)
        a, b = place[more.links.a], place[more.links.b]
        number, size = self._links[0].order, len(self.links.keys)
        if not len(number):
            return np.zeros(len(a), bool)
        wanted = a * size + b
        at = np.minimum(np.searchsorted(self._pairs, wanted), len(number) - 1)
        is_known = (a >= 0) & (b >= 0) & (self._pairs[at] == wanted)
        known: Flags = is_known & (self.links.links.since[number[at]] <= more.links.since)
        return known

    @cached_property
    def _pairs(self) -> Ints:
        links = self.links.links.take(self._links[0].order)
        return links.a * len(self.links.keys) + links.b

    @cached_property
    def _links(self) -> tuple[Rows, Rows]:
        return _ends(self.links.links, len(self.links.keys))

    @cached_property
    def _said(self) -> tuple[Rows, Rows]:
        return _ends(self.links.said, len(self.links.keys))

    @cached_property
    def _together(self) -> Rows:
        return Rows(self.components.together)

    @cached_property
    def customers(self) -> Rows:
        """Find the leaves of customers."""
        return Rows(self.latest)


class Rows:
    """Finds the rows in which a column has a value."""

    def __init__(self, values: Ints, order: Ints | None = None) -> None:
        if order is None:
            order = np.argsort(values, kind="stable")
        self.order = order
        self._values = values[order]

    def each(self, wanted: Ints) -> list[Ints]:
        """Return the rows of each of some values."""
        begins, ends = self._between(wanted)
        pairs = zip(begins.tolist(), ends.tolist(), strict=True)
        return [self.order[begin:end] for begin, end in pairs]

    def pairs(self, wanted: Ints) -> tuple[Ints, Ints]:
        """Return those rows together: for each the place of its value, and the row."""
        begins, ends = self._between(wanted)
        many = ends - begins
        before = np.cumsum(many) - many
        place = np.repeat(np.arange(len(wanted)), many)
        return place, self.order[np.arange(len(place)) + (begins - before)[place]]

    def having(self, wanted: Ints) -> Ints:
        """Return the rows that have one of some values."""
        return self.pairs(wanted)[1]

    def _between(self, wanted: Ints) -> tuple[Ints, Ints]:
        left, right = (np.searchsorted(self._values, wanted, side) for side in ("left", "right"))
        return left, right


def _ends(facts: Facts, size: int) -> tuple[Rows, Rows]:
    """Find facts by one end and by the other; by the one in the order of pairs."""
    return Rows(facts.a, np.argsort(facts.a * size + facts.b, kind="stable")), Rows(facts.b)
