"""Who is one customer as of a time, by the rule alone, in plain Python.

The oracle of `liftwerk.identity.components`: one time, one fact at a time, slow and obvious.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fact:
    """Two identifiers, each (namespace, name): seen together, told together, or told apart."""

    one: tuple[int, str]
    other: tuple[int, str]
    time: int
    known: int
    offset: int
    kind: str = "seen"

    @property
    def pair(self) -> frozenset[tuple[int, str]]:
        return frozenset((self.one, self.other))

    def is_known(self, at: int) -> bool:
        """Whether a row of a time may use it: it happened before, and was known by then."""
        return self.time < at and self.known <= at

    @property
    def since(self) -> int:
        return max(self.time + 1, self.known)


@dataclass
class World:
    """Facts, and what the project declares."""

    facts: list[Fact]
    at_most: int = 10
    anonymous: set[int] = field(default_factory=set)
    shared: set[tuple[int, str]] = field(default_factory=set)

    def leaves(self) -> list[tuple[int, str]]:
        return sorted({leaf for fact in self.facts for leaf in fact.pair})

    def customers(self, at: int) -> dict[tuple[int, str], tuple[int, str]]:
        """Return each identifier's customer, as a row of a time may know it."""
        known = [fact for fact in self.facts if fact.is_known(at)]
        links = [fact for fact in known if fact.kind != "apart"]
        links.sort(key=lambda fact: (fact.since, fact.offset))
        held = self.shared | {leaf for leaf in self.leaves() if self._has_too_many(leaf, links)}
        apart = self._apart(known)
        groups = {leaf: {leaf} for leaf in self.leaves()}
        for link in links:
            mine, theirs = groups[link.one], groups[link.other]
            if link.pair & held or mine is theirs:
                continue
            if any(frozenset((x, y)) in apart for x in mine for y in theirs):
                continue
            mine |= theirs
            for leaf in theirs:
                groups[leaf] = mine
        first: dict[tuple[int, str], tuple[int, int]] = {}
        for link in links:
            for leaf in link.pair:
                first.setdefault(leaf, (link.since, link.offset))

        def rank(leaf: tuple[int, str]) -> tuple[int, tuple[int, int], str]:
            return leaf[0], first.get(leaf, (0, 0)), leaf[1]

        return {leaf: min(group, key=rank) for leaf, group in groups.items()}

    def _has_too_many(self, leaf: tuple[int, str], links: list[Fact]) -> bool:
        others = {other for link in links if leaf in link.pair for other in link.pair - {leaf}}
        spaces = [other[0] for other in others if other[0] not in self.anonymous]
        return any(spaces.count(space) > self.at_most for space in spaces)

    def _apart(self, known: list[Fact]) -> set[frozenset[tuple[int, str]]]:
        last: dict[frozenset[tuple[int, str]], Fact] = {}
        for fact in sorted(known, key=lambda fact: fact.offset):
            if fact.kind != "seen":
                last[fact.pair] = fact
        return {pair for pair, fact in last.items() if fact.kind == "apart"}
