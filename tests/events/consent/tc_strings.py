"""The strings of tests/events/data, and what IAB's library reads in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

DATA = Path(__file__).parents[1] / "data" / "tc_strings.json"
ROWS: list[dict[str, Any]] = msgspec.json.decode(DATA.read_bytes())
WHOLE = [row for row in ROWS if row["decoded"] is not None]


def ids(short: str) -> set[int]:
    """Read "1-3 7"."""
    found: set[int] = set()
    for part in short.split():
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def saying(**wanted: Any) -> str:
    """Return the first string of which IAB's library says so."""
    return next(
        str(row["text"])
        for row in WHOLE
        if all(row["decoded"][key] == value for key, value in wanted.items())
    )
