"""Reads features off kept rows: planned once for a view, then a pass over the tiles it needs.

The windows of features that share a slot lie in each other. So a slot's states are gone through
once, from the latest tile back, and each feature is told where the head of its window is passed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from liftwerk.features.finalise import value_of
from liftwerk.features.kinds.aggregate import Merge
from liftwerk.features.kinds.decayed_sum import weight_of_age
from liftwerk.features.rows import Slot
from liftwerk.features.served import Missing
from liftwerk.features.states import MERGES, Grid, Reading, Row, State, Tiles, said

Seen: TypeAlias = Sequence[tuple[int, Sequence[State]]]
"""Tiles as (start, states), the earliest first."""


def _counted(every: Iterable[State]) -> State:
    found: dict[Any, int] = {}
    for state in every:
        for value, weight in state:
            found[value] = found.get(value, 0) + weight
    return list(found.items())


_KEY = itemgetter(0)

_FOLDS: Mapping[Merge, Callable[[Sequence[State]], State]] = {
    "add": sum,
    "least": min,
    "greatest": max,
    "earliest": lambda pairs: min(pairs, key=_KEY),
    "latest": lambda pairs: max(pairs, key=_KEY),
    "by_value": _counted,
}
"""How many states become one: `MERGES`, all at once."""


class Reader:
    """Reads some features of one entity.

    Parameters
    ----------
    grids : sequence of Grid
        Those of a row.
    readings : sequence of Reading
        The features.
    """

    def __init__(self, grids: Sequence[Grid], readings: Sequence[Reading]) -> None:
        self._grids = grids
        self._names = [reading.name for reading in readings]
        slots: dict[tuple[int, Slot], list[Reading]] = {}
        for reading in readings:
            slots.setdefault((reading.grid, reading.slot), []).append(reading)
        self._plans: list[list[_Plan]] = [[] for _ in grids]
        for (place, slot), group in slots.items():
            self._plans[place].append(_Plan(grids[place], slot, group))

    def read(self, rows: Sequence[Row], as_of: int) -> tuple[dict[str, Any], dict[str, Missing]]:
        """Make the values of one entity, which may have several rows.

        Parameters
        ----------
        rows : sequence of Row
            What is kept of the entity: of a customer, a row for each leaf.
        as_of : int
            Microseconds since 1970, no earlier than when the rows were last added to.

        Returns
        -------
        values : dict of str to float, or to what a property holds
            Feature -> value; None for what is unknown. Instants are microseconds.
        missing : dict of str to str
            Of each that is unknown, why.
        """
        values: dict[str, Any] = {}
        missing: dict[str, Missing] = {}
        for place, (grid, plans) in enumerate(zip(self._grids, self._plans, strict=True)):
            every = [row[place] for row in rows]
            tiles = _before(grid, every, as_of)
            starts = [start for start, _ in tiles]
            unknown = [plan for plan in plans if plan.read(tiles, starts, as_of, values)]
            if unknown:
                bits = _said_at_all(every, tiles)
                is_refused = any(one.refused for one in every)
                for plan in unknown:
                    why: Missing = "never"
                    if bits & plan.bits:
                        why = "expired"
                    elif is_refused:
                        why = "no_consent"
                    missing |= {name: why for name in plan.names if values[name] is None}
        return {name: values[name] for name in self._names}, missing


class _Plan:
    """The features of one slot, that of the shortest window first."""

    def __init__(self, grid: Grid, slot: Slot, readings: Sequence[Reading]) -> None:
        self.names = [reading.name for reading in readings]
        kind = slot.kind
        first = grid.place(slot)
        self._states = [
            (first + place, name, _FOLDS[merge], MERGES[merge])
            for place, (name, merge) in enumerate(kind.merges.items())
        ]
        self.bits = ((1 << len(self._states)) - 1) << first
        self._slot = slot
        self._hop = slot.hop
        self._decays = kind.decays
        self._empty = kind.empty
        self._tells = _tells(slot)
        windowed = [one for one in readings if one.window is not None]
        endless = [one for one in readings if one.window is None]
        self._readings = [*sorted(windowed, key=lambda one: one.window or 0), *endless]

    def read(self, tiles: Seen, starts: Sequence[int], as_of: int, values: dict[str, Any]) -> bool:
        """Add the features' values, and say whether one of them is unknown."""
        end, is_missing = len(tiles), False
        states: dict[str, State] = {name: None for _, name, _, _ in self._states}
        for reading in self._readings:
            head = 0
            if reading.window is not None:
                head = (as_of - reading.window) // self._hop * self._hop
                head = bisect_left(starts, head)
            if head < end:
                self._take(tiles[head:end], as_of, states)
                end = head
            told = self._tells(states)
            if reading.ratio is None:
                value = told["value"]
            else:
                value = value_of(reading.ratio, told, as_of, self._empty)
            values[reading.name] = value
            is_missing |= value is None
        return is_missing

    def _take(self, tiles: Seen, as_of: int, states: dict[str, State]) -> None:
        for place, name, fold, merge in self._states:
            if self._decays:
                found = self._decayed(tiles, place, as_of)
            else:
                found = [state for _, every in tiles if (state := every[place]) is not None]
            if found:
                more = fold(found)
                known = states[name]
                states[name] = more if known is None else merge(known, more)

    def _decayed(self, tiles: Seen, place: int, as_of: int) -> list[State]:
        hop, halving = self._hop, self._slot.halving
        now = as_of // hop
        return [
            state * weight_of_age(now - start // hop, halving)
            for start, every in tiles
            if (state := every[place]) is not None
        ]


def _before(grid: Grid, every: Iterable[Tiles], as_of: int) -> list[tuple[int, list[State]]]:
    """List what happened before a time, the earliest first."""
    found: list[tuple[int, list[State]]] = []
    for tiles in every:
        found.extend(tiles.whole.items())
        if tiles.pending:
            found.extend(
                (grid.tile(time), states) for time, states in tiles.pending.items() if time < as_of
            )
    found.sort(key=_KEY)
    return found


def _said_at_all(every: Iterable[Tiles], tiles: Seen) -> int:
    """Give a bit for each state of which something is known, or was."""
    found = 0
    for one in every:
        found |= one.spent
    for _, states in tiles:
        found |= said(states)
    return found


def _tells(slot: Slot) -> Callable[[dict[str, State]], Mapping[str, Any]]:
    """Say how a slot's states are handed to whoever makes a value of them."""
    kind = slot.kind
    if kind.by_value:
        return lambda states: _reduced(states["values"])
    if kind.merges.get("value") in ("earliest", "latest"):
        return _latest
    return lambda states: states


def _latest(states: dict[str, State]) -> dict[str, State]:
    pair = states["value"]
    return {"value": None if pair is None else pair[1]}


def _reduced(pairs: Sequence[Any] | None) -> dict[str, State]:
    if not pairs:
        return {"n": None, "top": None, "total": None}
    weights = [weight for _, weight in pairs]
    return {"n": len(pairs), "top": max(weights), "total": sum(weights)}
