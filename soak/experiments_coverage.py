"""Make the coverage map of experiments: how often every interval holds the truth, and where.

    .venv/bin/python -m soak.experiments_coverage [--only TABLE ...] [--draws N] [--seed 0]

Every world is drawn 2,000 times (or as often as it says), once with nothing to be found and once
with an effect, and read in all designs. The cells are kept in `soak/experiments_coverage.json`, a
table at a time, and all that is kept is written to `docs/concepts/coverage-map.md`. Prints one JSON
document; exits 1 when a cell leaves its bounds, or when a naive design does not. With `--draws`
nothing is written.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.stats import coverage
from tests.stats.adaptive import cells as bandit
from tests.stats.coverage import Cell, World, play_many
from tests.stats.switchback import cells as switchback

KEPT = Path(__file__).parent / "experiments_coverage.json"
PAGE = Path(__file__).parents[1] / "docs" / "concepts" / "coverage-map.md"
WORLDS: tuple[World, ...] = (*coverage.WORLDS, *bandit.WORLDS, *switchback.WORLDS)
"""All worlds of the map."""
INTRODUCTION = """# Where intervals were shown to cover

Made by `python -m soak.experiments_coverage`; do not edit. Every world was drawn again and again
with known truth (`liftwerk.simulation`, frozen before methods were tuned) and read by the code that
reads experiments. A cell has two figures:

- **covered**: how often the 95% interval held a true effect; where there are many looks, how often
  the intervals of *all* looks did;
- **false alarms**: how often it excluded 0 though nothing works; at any look.

Both are shares of the draws that were answered. *answered* is the share of draws with an interval
at the (last) look: the others are `Unknown`, since their tail has not been seen. A cell is marked
with ! if it leaves the bounds that a right interval leaves by chance in one of twenty whole maps
(for intervals that may be read at any time, which promise *at least* 95%, only the lower bound).
"""
TABLES = {
    "units": "Units are assigned: customers, visitors, sessions",
    "clusters": "Clusters are assigned: shops, teams, regions; read over 28 days",
    "holdout": "Holdout: the same customers, read 16 weeks",
    "bandit": "A bandit's log: three arms, by its own probabilities",
    "switchback": "Switchback: arms take turns in blocks of hours",
}
"""Titles of the tables, in their order; a table without one has its own name."""


def main() -> int:
    """Play the worlds that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", default=None, metavar="TABLE")
    parser.add_argument("--draws", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    asked = arguments.only
    worlds = [world for world in WORLDS if asked is None or world.table in asked]
    if not worlds:
        parser.error(f"no such table: {asked}; there are {sorted({w.table for w in WORLDS})}")
    began = time.monotonic()
    cells: list[Cell] = []
    for found in play_many(worlds, arguments.seed, arguments.processes, arguments.draws):
        cells += found
        print(json.dumps([_row(cell, len(WORLDS)) for cell in found]), file=sys.stderr, flush=True)
    wrong = failures(cells)
    if arguments.draws is None:
        keep(cells, arguments.seed)
    summary = {
        "cells": len(cells),
        "seconds": round(time.monotonic() - began),
        "holds": not wrong,
        "wrong": wrong,
    }
    print(json.dumps(summary, indent=1))
    return int(bool(wrong))


def failures(cells: Iterable[Cell]) -> list[str]:
    """Name the cells that are not as they should be, as parts of one map."""
    judged = list(cells)
    size = sum(not cell.naive for cell in judged)
    wrong = []
    for cell in judged:
        verdict = cell.verdict(size)
        expected = "short" if cell.naive else "holds"
        if verdict != expected and (cell.mapped or not cell.naive):
            wrong.append(f"{cell.world}, effect {cell.effect:g}, {cell.design}: {verdict}")
    return wrong


def keep(cells: Iterable[Cell], seed: int) -> None:
    """Keep the tables that were made, and write the page of all that are kept."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    today = f"{datetime.now(UTC):%d %B %Y}".lstrip("0")
    by_table: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        by_table.setdefault(cell.table, []).append(dataclasses.asdict(cell))
    for table, rows in by_table.items():
        kept[table] = {"made": today, "seed": seed, "cells": rows}
    KEPT.write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n")
    PAGE.write_text(page(kept))


def page(kept: dict[str, Any]) -> str:
    """Write the map for people."""
    order = [*TABLES, *(table for table in kept if table not in TABLES)]
    every = [Cell(**row) for table in kept.values() for row in table["cells"]]
    size = sum(not cell.naive for cell in every)
    parts = [INTRODUCTION]
    for table in order:
        if table not in kept:
            continue
        cells = [Cell(**row) for row in kept[table]["cells"]]
        draws = " and ".join(f"{count:,}" for count in sorted({cell.draws for cell in cells}))
        parts.append(f"## {TABLES.get(table, table.capitalize())}\n")
        parts.append(
            f"{draws} draws with and as many without an effect, seed {kept[table]['seed']}, "
            f"on {kept[table]['made']}: covered / false alarms, in per cent.\n"
        )
        for group in _groups(cells):
            parts += [*_table(cells, group, size), ""]
    return "\n".join(parts).rstrip() + "\n"


def _groups(cells: list[Cell]) -> list[list[str]]:
    """Put designs read once into one table, those read often into another."""
    designs = list(dict.fromkeys(cell.design for cell in cells))
    often = [name for name in designs if name.startswith(("anytime", "holdout", "naive"))]
    once = [name for name in designs if name not in often]
    return [group for group in (once, often) if group]


def _table(cells: list[Cell], designs: list[str], size: int) -> list[str]:
    lines = [
        f"| world | answered | {' | '.join(designs)} |",
        f"|---|---{'|---' * len(designs)}|",
    ]
    for world in dict.fromkeys(cell.world for cell in cells):
        mine = {
            (cell.design, cell.effect == 0.0): cell
            for cell in cells
            if cell.world == world and cell.design in designs
        }
        if not mine:
            continue
        answered = min(cell.answered / cell.draws for cell in mine.values())
        texts = [_texts(mine, design, size) for design in designs]
        lines.append(f"| {world} | {answered:.0%} | {' | '.join(texts)} |")
    return lines


def _texts(mine: dict[tuple[str, bool], Cell], design: str, size: int) -> str:
    found = []
    for nothing in (False, True):
        cell = mine.get((design, nothing))
        if cell is None or not cell.answered:
            found.append("·")
            continue
        share = 1.0 - cell.covered if nothing else cell.covered
        mark = "" if cell.verdict(size) in ("holds", "silent") else "!"
        found.append(f"{100.0 * share:.1f}{mark}")
    return " / ".join(found)


def _row(cell: Cell, size: int) -> dict[str, Any]:
    return dataclasses.asdict(cell) | {"covered": cell.covered, "verdict": cell.verdict(size)}


if __name__ == "__main__":
    sys.exit(main())
