"""The customers of one state of the log, and how those of the next one follow from them.

What comes in is mostly known: pairs of identifiers that were seen together before. What is new
concerns few: links never vanish while nobody is erased, so whoever does not hang together with an
end of a new link or statement stays what they were. Their customers are reckoned anew by the same
rule from all that was said of them, and lie as a *part* over the older ones. Once a leaf is shared
it stays so, and new links of it concern its other ends alone.

Parts are made one while they are small, so that few lie over another, and never grow beyond `MOST`:
so what a step costs depends on what came in and not on the log.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow

from liftwerk.identity.components import FOREVER, Changes, Components, Ints
from liftwerk.identity.keys import Keys, in_arrow, in_one, in_pieces, keys_of
from liftwerk.identity.links import Links, joined
from liftwerk.identity.parts import Part, Rules
from liftwerk.privacy.permitted import AsOf

MOST = 100_000
"""Leaves of a part that is made of two."""

RECENT = 16
"""States before it of which a state remembers what has changed since."""

TIME = pyarrow.timestamp("us", "UTC")


class _Change(NamedTuple):
    """A state that came before, and the leaves that may have another customer since."""

    before: object
    leaves: Keys


class Customers:
    """The customers of one state of the log, as of some knowledge.

    Parameters
    ----------
    rules : Rules
    parts : sequence of Part
        The first knows of all leaves that it holds, each later one better of its own.
    as_of : AsOf
        Bounds that a reader of the same snapshot has to keep.
    changes : sequence of _Change
        How they came about, the last change last.
    """

    def __init__(
        self,
        rules: Rules,
        parts: Sequence[Part],
        as_of: AsOf,
        changes: Sequence[_Change] = (),
    ) -> None:
        self._rules = rules
        self._parts = parts
        self._changes = changes
        self._state = object()
        self.as_of = as_of

    @classmethod
    def made_of(cls, rules: Rules, links: Links, as_of: AsOf) -> Customers:
        """Make them from all that was known."""
        return cls(rules, [Part(rules, links, np.ones(len(links.keys), bool))], as_of)

    def up_to(self, as_of: AsOf) -> Customers:
        """Return them with other bounds, between which nothing links."""
        if as_of == self.as_of:
            return self
        same = copy.copy(self)
        same.as_of = as_of
        return same

    def continued(self, more: Links, as_of: AsOf) -> Customers:
        """Return the customers of a later state.

        Parameters
        ----------
        more : Links
            What was said since; may tell again what is known.
        as_of : AsOf
            The bounds of the later state.

        Returns
        -------
        Customers
            As they would be if they were made from all that was said. They are these, with other
            bounds, if nothing was new.
        """
        known = np.zeros(len(more.links.a), bool)
        for part in self._parts:
            known |= part.knows(more)
        news = more.choose(~known, np.ones(len(more.apart), bool))
        if not len(news.keys):
            return self.up_to(as_of)
        concerned = self._concerned(news.keys)
        links = joined([*(part.about(concerned) for part in self._parts), news])
        part = Part(self._rules, links, np.isin(links.keys, concerned))
        changes = [*self._changes, _Change(self._state, concerned)][-RECENT:]
        return Customers(self._rules, _few(self._rules, [*self._parts, part]), as_of, changes)

    def is_state_of(self, other: Customers) -> bool:
        """Say whether nothing links between the bounds of both."""
        return self._state is other._state

    @property
    def told_last(self) -> int:
        """The offset of the last event that tells anything of them."""
        return max(part.told_last for part in self._parts)

    def whose(self, leaves: Sequence[bytes]) -> dict[bytes, bytes]:
        """Say whose some leaves are; one that was never linked is its own."""
        found = {leaf: leaf for leaf in leaves}
        keys = in_one(found)
        for part, which, places in self._known(keys):
            asked = in_pieces(keys[which])
            found.update(zip(asked, in_pieces(part.links.keys[part.latest[places]]), strict=True))
        return found

    def groups_of(self, leaves: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return what ``groups`` says of some leaves, and of all that are with them."""
        found: dict[bytes, bytes] = {}
        for part, _, places in self._known(in_one(set(leaves))):
            for members in part.customers.each(np.unique(part.latest[places])):
                if len(members) > 1:
                    group = np.sort(part.links.keys[members])
                    found.update(dict.fromkeys(in_pieces(group), group.tobytes()))
        return found

    def others_of(self, leaves: pyarrow.Array | pyarrow.ChunkedArray) -> pyarrow.Table:
        """Return ``leaf``, ``other``: some leaves, each with the others of its customer."""
        asked = keys_of(leaves)
        pairs = [(asked[:0], asked[:0])]
        for part, which, places in self._known(asked):
            place, other = part.customers.pairs(part.latest[places])
            is_other = other != places[place]
            pairs.append((asked[which[place[is_other]]], part.links.keys[other[is_other]]))
        leaf, others = (in_arrow(np.concatenate(column)) for column in zip(*pairs, strict=True))
        return pyarrow.table({"leaf": leaf, "other": others})

    def regrouped_since(self, before: Customers | None) -> dict[bytes, bytes | None]:
        """Return the leaves whose group is another than before, each with its group now.

        Parameters
        ----------
        before : Customers or None
            Of any state; None where nothing could be linked yet. Of one that these followed from a
            few steps ago only those leaves are looked at that are concerned by what came since.

        Returns
        -------
        dict of bytes to bytes or None
            None for a leaf that is alone now.
        """
        if before is None:
            return dict(self.groups)
        concerned = self._concerned_since(before)
        if concerned is None:
            was, now = before.groups, self.groups
            leaves = list({**was, **now})
        else:
            leaves = in_pieces(np.unique(concerned))
            was, now = before.groups_of(leaves), self.groups_of(leaves)
        return {leaf: now.get(leaf) for leaf in leaves if was.get(leaf) != now.get(leaf)}

    @property
    def links(self) -> Links:
        """All that was said."""
        return self._whole.links

    @property
    def components(self) -> Components:
        """What follows from it."""
        return self._whole.components

    @property
    def latest(self) -> Ints:
        """Each leaf's customer, as numbers of leaves."""
        return self._whole.latest

    @cached_property
    def merged(self) -> pyarrow.Table:
        """``leaf``, ``customer``: the leaves that are known by another's key."""
        leaf = np.flatnonzero(self.latest != np.arange(len(self.latest)))
        return pyarrow.table({"leaf": self._keys(leaf), "customer": self._keys(self.latest[leaf])})

    @cached_property
    def groups(self) -> dict[bytes, bytes]:
        """Leaf -> the keys of all its customer's leaves in order, end to end, where several are."""
        return self.groups_of(in_pieces(self.links.keys))

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
        """Return the map as `liftwerk.identity.mapping.identity_map` describes it."""
        changes = self.changes
        ends = pyarrow.array(changes.until, mask=changes.until == FOREVER)
        return pyarrow.table(
            {
                "leaf": self._keys(changes.leaf),
                "customer": self._keys(changes.customer),
                "valid_from": pyarrow.array(changes.time).cast(TIME),
                "known_from": pyarrow.array(changes.known).cast(TIME),
                "known_offset": pyarrow.array(changes.offset),
                "since": pyarrow.array(changes.since).cast(TIME),
                "until": ends.cast(TIME),
            }
        )

    def _keys(self, numbers: Ints) -> pyarrow.Array:
        return in_arrow(self.links.keys[numbers])

    @cached_property
    def _whole(self) -> Part:
        if len(self._parts) == 1:
            return self._parts[0]
        links = joined([part.links for part in self._parts])
        return Part(self._rules, links, np.ones(len(links.keys), bool))

    def _known(self, keys: Keys) -> Iterator[tuple[Part, Ints, Ints]]:
        """Tell who knows some leaves best: the part, which of the leaves, and where they stand."""
        left = np.arange(len(keys))
        for part in reversed(self._parts):
            places = part.places.of(keys[left])
            is_own = places >= 0
            is_own[is_own] = part.own[places[is_own]]
            yield part, left[is_own], places[is_own]
            left = left[~is_own]

    def _concerned(self, keys: Keys) -> Keys:
        """Return the leaves that may have another customer by what is new of some."""
        is_new = np.ones(len(keys), bool)
        found = []
        for part, which, places in self._known(keys):
            is_new[which] = False
            places = places[~part.is_shared(places)]
            found.append(part.links.keys[part.together(places)])
        return np.unique(np.concatenate([*found, keys[is_new]]))

    def _concerned_since(self, before: Customers) -> Keys | None:
        """Return the leaves that may have another customer than before; None if it isn't known."""
        states = [*(change.before for change in self._changes), self._state]
        if before._state not in states:
            return None
        after = self._changes[states.index(before._state) :]
        return np.concatenate([np.empty(0, "S16"), *(change.leaves for change in after)])


def _few(rules: Rules, parts: list[Part]) -> list[Part]:
    """Make one of the last parts while both are of one order and not too large."""
    while len(parts) > 1:
        last, other = len(parts[-1].own), len(parts[-2].own)
        if other > 2 * last or other + last > MOST:
            break
        *rest, one, two = parts
        links = joined([one.links, two.links])
        own = np.concatenate([part.links.keys[part.own] for part in (one, two)])
        parts = [*rest, Part(rules, links, np.isin(links.keys, own))]
    return parts
