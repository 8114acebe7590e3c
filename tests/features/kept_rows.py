"""What is kept of views, so that two stores can be compared."""

from __future__ import annotations

from typing import Any

from liftwerk.features.kept import FILLING, UNFILLED
from liftwerk.features.states import decode_row
from liftwerk.store.online import Online


def kept_rows(online: Online) -> dict[str, Any]:
    """Return each space's offset and its rows, in the order of their keys.

    How values are counted in a row has no order: an engine of several threads gives any.
    """
    found: dict[str, Any] = {}
    for space in online.spaces():
        name = space.name
        if name.endswith(f"/{FILLING}"):
            assert space.rows == 0 or space.progress.offset == UNFILLED
            continue
        rows, after = [], b""
        while page := online.rows(name, after):
            rows += [(row.key, row.body if "/" in name else _plain(row.body)) for row in page]
            after = page[-1].key
        if rows or "/" not in name:
            found[name] = (space.progress.offset, rows)
    return found


def _plain(body: bytes) -> Any:
    return [
        [
            sorted((start, list(map(_state, states))) for start, states in tiles.items())
            for tiles in (grid.whole, grid.pending)
        ]
        for grid in decode_row(body)
    ]


def _state(state: Any) -> Any:
    if isinstance(state, list) and all(isinstance(one, list) for one in state):
        return sorted(state, key=repr)
    return state
