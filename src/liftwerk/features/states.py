"""Exact states in plain Python: merging what tiles hold, and reading values off them.

A *row* is what is kept of one entity for the features of one view: for each grid of tiles, its
tiles by their start, and what is *pending*: what happens at or after the time it was added at (a
clock was ahead), by its own time, until that has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from liftwerk.features.finalise import value_of
from liftwerk.features.kinds.aggregate import Merge, Ratio
from liftwerk.features.kinds.decayed_sum import weight_of_age
from liftwerk.features.rows import Slot

State: TypeAlias = Any
"""A whole number; a value; a pair [key, value]; or a map from value to weight; None for nothing."""


class Tiles(Struct, array_like=True):
    """Tiles of one grid: start -> a state for each slot; and what is pending, by its time.

    ``spent`` has a bit for each state that a tile held which no window reaches any more.
    """

    whole: dict[int, list[State]] = {}
    pending: dict[int, list[State]] = {}
    spent: int = 0


Row: TypeAlias = list[Tiles]
"""What is kept of an entity, a grid after another."""


def _by_value(one: list[list[Any]], other: list[list[Any]]) -> list[list[Any]]:
    found = dict(map(tuple, one))
    for value, weight in other:
        found[value] = found.get(value, 0) + weight
    return [[value, weight] for value, weight in found.items()]


MERGES: Mapping[Merge, Callable[[State, State], State]] = {
    "add": lambda one, other: one + other,
    "least": min,
    "greatest": max,
    "earliest": lambda one, other: min(one, other, key=lambda pair: pair[0]),
    "latest": lambda one, other: max(one, other, key=lambda pair: pair[0]),
    "by_value": _by_value,
}


def merged(merges: Sequence[Merge], one: Sequence[State], other: Sequence[State]) -> list[State]:
    """Merge the states of disjoint rows.

    Parameters
    ----------
    merges : sequence of Merge
        How each is merged.
    one, other : sequence of State

    Returns
    -------
    list of State

    Examples
    --------
    >>> merged(["add", "greatest", "latest"], [1, None, [10, "a"]], [2, 5, [11, "b"]])
    [3, 5, [11, 'b']]
    """
    together = []
    for merge, left, right in zip(merges, one, other, strict=True):
        if left is None:
            together.append(right)
        elif right is None:
            together.append(left)
        else:
            together.append(MERGES[merge](left, right))
    return together


class Grid(Struct, frozen=True):
    """Tiles of one length, over the rows of one event.

    Attributes
    ----------
    slots : tuple of Slot
        What is aggregated.
    hop : int or None
        The tiles' length in microseconds; None for one tile without end.
    keep : int or None
        How long a tile is needed, in microseconds; None for ever.
    """

    slots: tuple[Slot, ...]
    hop: int | None
    keep: int | None

    @property
    def merges(self) -> tuple[Merge, ...]:
        """How the states of a tile are merged, slot after slot."""
        return tuple(merge for slot in self.slots for merge in slot.kind.merges.values())

    def tile(self, time: int) -> int:
        """Return the tile of a time."""
        if self.hop is None:
            return 0
        return time // self.hop * self.hop

    def place(self, slot: Slot) -> int:
        """Return where the states of a slot begin."""
        place = 0
        for one in self.slots:
            if one == slot:
                return place
            place += len(one.kind.merges)
        raise KeyError(slot)


def add(grid: Grid, tiles: Tiles, new: Tiles, now: int) -> None:
    """Merge new tiles into kept ones, let pending rows go whose time has come, drop spent tiles.

    Parameters
    ----------
    grid : Grid
    tiles : Tiles
        Kept; changed in place.
    new : Tiles
        Of rows that were not added before.
    now : int
        Microseconds since 1970; rows before it are no longer pending.
    """
    merges = grid.merges
    for kept, more in ((tiles.whole, new.whole), (tiles.pending, new.pending)):
        for start, states in more.items():
            if start in kept:
                kept[start] = merged(merges, kept[start], states)
            else:
                kept[start] = list(states)
    for time in [time for time in tiles.pending if time < now]:
        states, tile = tiles.pending.pop(time), grid.tile(time)
        if tile in tiles.whole:
            states = merged(merges, tiles.whole[tile], states)
        tiles.whole[tile] = states
    if grid.keep is not None:
        for start in [start for start in tiles.whole if start < now - grid.keep]:
            tiles.spent |= _said(tiles.whole.pop(start))


def _said(states: Sequence[State]) -> int:
    return sum(1 << place for place, state in enumerate(states) if state is not None)


def was_seen(grid: Grid, slot: Slot, every: Iterable[Tiles], as_of: int) -> bool:
    """Say whether anything that counts for a slot happened before a time, however long ago.

    Parameters
    ----------
    grid : Grid
    slot : Slot
    every : iterable of Tiles
        Those of an entity's rows.
    as_of : int
        Microseconds since 1970.
    """
    bits = ((1 << len(slot.kind.merges)) - 1) << grid.place(slot)
    return any(bits & (tiles.spent | _said_before(tiles, as_of)) for tiles in every)


def _said_before(tiles: Tiles, as_of: int) -> int:
    found = 0
    for states in tiles.whole.values():
        found |= _said(states)
    for time, states in tiles.pending.items():
        if time < as_of:
            found |= _said(states)
    return found


class Reading(Struct, frozen=True):
    """How a feature is read off a row.

    Attributes
    ----------
    name : str
        The feature.
    grid : int
        Which of the row's grids.
    slot : Slot
        What was aggregated.
    window : int or None
        Microseconds.
    ratio : Ratio or None
        Makes a float of the states; None hands the value on.
    """

    name: str
    grid: int
    slot: Slot
    window: int | None
    ratio: Ratio | None


def read_values(
    grids: Sequence[Grid], readings: Sequence[Reading], rows: Sequence[Row], as_of: int
) -> dict[str, Any]:
    """Make the values of one entity, which may have several rows.

    Parameters
    ----------
    grids : sequence of Grid
    readings : sequence of Reading
    rows : sequence of Row
        What is kept of the entity: of a customer, a row for each leaf.
    as_of : int
        Microseconds since 1970, no earlier than when the rows were last added to.

    Returns
    -------
    dict of str to float, or to what a property holds
        Feature -> value; None for what is unknown. Instants are microseconds.
    """
    seen = [_before(grid, (row[place] for row in rows), as_of) for place, grid in enumerate(grids)]
    values: dict[str, Any] = {}
    for (place, slot), group in _grouped(readings):
        values |= _slot_values(grids[place], slot, group, seen[place], as_of)
    return {reading.name: values[reading.name] for reading in readings}


def _grouped(
    readings: Sequence[Reading],
) -> Iterable[tuple[tuple[int, Slot], list[Reading]]]:
    groups: dict[tuple[int, Slot], list[Reading]] = {}
    for reading in readings:
        groups.setdefault((reading.grid, reading.slot), []).append(reading)
    return groups.items()


def _before(grid: Grid, every: Iterable[Tiles], as_of: int) -> list[tuple[int, list[State]]]:
    """List what happened before a time, the latest first."""
    found: list[tuple[int, list[State]]] = []
    for tiles in every:
        found.extend(tiles.whole.items())
        found.extend(
            (grid.tile(time), states) for time, states in tiles.pending.items() if time < as_of
        )
    found.sort(key=lambda one: one[0], reverse=True)
    return found


def _slot_values(
    grid: Grid,
    slot: Slot,
    readings: list[Reading],
    seen: list[tuple[int, list[State]]],
    as_of: int,
) -> dict[str, Any]:
    """Go back through the tiles once, and stop at the head of each window on the way."""
    first = grid.place(slot)
    names = list(slot.kind.merges)
    merges = list(slot.kind.merges.values())
    by_head = sorted(((_head(one, slot, as_of), one) for one in readings), key=lambda one: -one[0])
    states: list[State] = [None] * len(names)
    values: dict[str, Any] = {}
    place = 0
    for head, reading in by_head:
        while place < len(seen) and seen[place][0] >= head:
            start, kept = seen[place]
            more = kept[first : first + len(names)]
            if slot.kind.decays and more[0] is not None:
                age = (as_of // slot.hop * slot.hop - start) // slot.hop
                more = [more[0] * weight_of_age(age, slot.halving)]
            states = merged(merges, states, more)
            place += 1
        values[reading.name] = _value(reading, dict(zip(names, states, strict=True)), as_of)
    return values


_FIRST = -(2**63)


def _head(reading: Reading, slot: Slot, as_of: int) -> int:
    if reading.window is None:
        return _FIRST
    return (as_of - reading.window) // slot.hop * slot.hop


def _value(reading: Reading, states: dict[str, State], as_of: int) -> Any:
    kind = reading.slot.kind
    if kind.by_value:
        states = _reduced(states["values"])
    elif "value" in states and kind.merges["value"] in ("earliest", "latest"):
        pair = states["value"]
        states = {"value": None if pair is None else pair[1]}
    if reading.ratio is None:
        return states["value"]
    return value_of(reading.ratio, states, as_of, kind.empty)


def _reduced(pairs: list[list[Any]] | None) -> dict[str, State]:
    if not pairs:
        return {"n": None, "top": None, "total": None}
    weights = [weight for _, weight in pairs]
    return {"n": len(pairs), "top": max(weights), "total": sum(weights)}


encode_row: Callable[[Row], bytes] = msgspec.json.Encoder().encode
"""Write a row; its whole numbers may be of any length, so it is JSON."""

decode_row: Callable[[bytes], Row] = msgspec.json.Decoder(list[Tiles]).decode
"""Read a row that `encode_row` wrote."""
