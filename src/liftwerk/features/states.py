"""Exact states in plain Python: merging what tiles hold, and reading values off them.

A *row* is what is kept of one entity for the features of one view: for each grid of tiles, its
tiles by their start, and what is *pending*: what happens at or after the time it was added at (a
clock was ahead), by its own time, until that has passed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from liftwerk.features.kinds.aggregate import Merge, Ratio
from liftwerk.features.rows import Slot

State: TypeAlias = Any
"""A whole number; a value; a pair [key, value]; or a map from value to weight; None for nothing."""


class Tiles(Struct, array_like=True):
    """Tiles of one grid: start -> a state for each slot; and what is pending, by its time.

    ``spent`` has a bit for each state that a tile held which no window reaches any more;
    ``refused`` says that there are events which may not be read for the purpose.
    """

    whole: dict[int, list[State]] = {}
    pending: dict[int, list[State]] = {}
    spent: int = 0
    refused: bool = False


Row: TypeAlias = list[Tiles]
"""What is kept of an entity, a grid after another."""

UNTOUCHED = Tiles({}, {})
"""What new rows, which nobody changes, have of grids that nothing is in."""


def _by_value(one: list[list[Any]], other: list[list[Any]]) -> list[list[Any]]:
    found = dict(map(tuple, one))
    for value, weight in other:
        found[value] = found.get(value, 0) + weight
    return [[value, weight] for value, weight in found.items()]


MERGES: Mapping[Merge, Callable[[State, State], State]] = {
    "add": operator.add,
    "least": min,
    "greatest": max,
    "earliest": lambda one, other: min(one, other, key=lambda pair: pair[0]),
    "latest": lambda one, other: max(one, other, key=lambda pair: pair[0]),
    "by_value": _by_value,
}


def merged(
    merges: Sequence[Callable[[State, State], State]],
    one: Sequence[State],
    other: Sequence[State],
) -> list[State]:
    """Merge the states of disjoint rows.

    Parameters
    ----------
    merges : sequence of callable
        How each is merged, from `MERGES`.
    one, other : sequence of State

    Returns
    -------
    list of State

    Examples
    --------
    >>> hows = [MERGES[merge] for merge in ("add", "greatest", "latest")]
    >>> merged(hows, [1, None, [10, "a"]], [2, 5, [11, "b"]])
    [3, 5, [11, 'b']]
    """
    return [
        right if left is None else left if right is None else merge(left, right)
        for merge, left, right in zip(merges, one, other, strict=True)
    ]


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


class Adder:
    """Merges new tiles into kept ones.

    Parameters
    ----------
    grids : sequence of Grid
        Those of a row.
    """

    def __init__(self, grids: Sequence[Grid]) -> None:
        self._grids = grids
        self._merges = [tuple(MERGES[merge] for merge in grid.merges) for grid in grids]

    def add(self, row: Row, new: Row, now: int) -> None:
        """Merge new tiles, let pending rows go whose time has come, drop spent tiles.

        Parameters
        ----------
        row : Row
            Kept; changed in place.
        new : Row
            Of events that were not added before.
        now : int
            Microseconds since 1970; events before it are no longer pending.
        """
        for grid, merges, tiles, more in zip(self._grids, self._merges, row, new, strict=True):
            if more is UNTOUCHED and not tiles.pending:
                continue
            size = len(tiles.whole)
            tiles.refused |= more.refused
            _merge(merges, tiles.whole, more.whole)
            if tiles.pending or more.pending:
                _merge(merges, tiles.pending, more.pending)
                passed = [time for time in tiles.pending if time < now]
                for time in passed:
                    _merge(merges, tiles.whole, {grid.tile(time): tiles.pending.pop(time)})
            # What lies behind every window is read by none, and may wait until a tile comes in.
            if grid.keep is not None and len(tiles.whole) > size:
                for start in [start for start in tiles.whole if start < now - grid.keep]:
                    tiles.spent |= said(tiles.whole.pop(start))


def _merge(
    merges: Sequence[Callable[[State, State], State]],
    kept: dict[int, list[State]],
    more: Mapping[int, list[State]],
) -> None:
    for start, states in more.items():
        if start in kept:
            kept[start] = merged(merges, kept[start], states)
        else:
            kept[start] = states


def said(states: Sequence[State]) -> int:
    """Give a bit for each state of which something is known."""
    return sum(1 << place for place, state in enumerate(states) if state is not None)


def is_told(row: Row) -> bool:
    """Say whether a row holds, or held, anything: it may only note that events are refused."""
    return any(tiles.whole or tiles.pending or tiles.spent for tiles in row)


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


encode_row: Callable[[Row], bytes] = msgspec.json.Encoder().encode
"""Write a row; its whole numbers may be of any length, so it is JSON."""

decode_row: Callable[[bytes], Row] = msgspec.json.Decoder(list[Tiles]).decode
"""Read a row that `encode_row` wrote."""
