"""Make the coverage map of experiments: how often every interval holds the truth, and where.

    .venv/bin/python -m soak.experiments_coverage [--only TABLE ...] [--worlds NAME] [--missing]

Every world is drawn 2,000 times (or as often as it says), once with nothing to be found and once
with an effect, and read in all designs. Each is kept in `soak/experiments_coverage.json` when it is
done, with its seed, day and the version of the code that was judged, and all that is kept is
written to `docs/concepts/coverage-map.md`. Tables are `units`, `clusters`, `holdout`, `bandit`,
`switchback` and `geo` (which names all that begin with it); `--missing` plays only what is not
there, or was made by other code. Prints one JSON document; exits 1 when a kept cell leaves its
bounds, or when a naive design does not. With `--draws N` nothing is kept.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from tests.stats import coverage
from tests.stats.adaptive import cells as bandit
from tests.stats.coverage import Cell, World, play_many
from tests.stats.switchback import cells as switchback
from tests.stats.synthetic_control import cells as geo

Kept: TypeAlias = dict[str, dict[str, Any]]

KEPT = Path(__file__).parent / "experiments_coverage.json"
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "concepts" / "coverage-map.md"
PACKAGE = ROOT / "src" / "liftwerk"
WORLDS: tuple[World, ...] = (
    *coverage.WORLDS,
    *bandit.WORLDS,
    *switchback.WORLDS,
    *switchback.UNSEEN,
    *geo.KNOWN,
    *geo.UNSEEN,
    *geo.CONFIRMING,
)
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
(for intervals that promise *at least* 95%, those that may be read at any time and conformal ones,
only the lower bound). Naive ones are there to be seen to fail. A row is marked with † if it was
made by another version of the code than the one that is here now; versions are hashes of what the
table's intervals and worlds are computed by, without comments.

Units come from four strata with different levels and different effects. `conversion` is 0 or 1, of
that rate; `light` is positive, with a skewness of about 3; of `orders` 0.9% of customers have one,
worth what customers of a published trial spent (skewness about 20); `lognormal` has that sigma;
`per order` is a ratio, and of `per seldom order` 2% of units have any. The covariate is the same
behaviour before the experiment. Sizes below 2,500 an arm are the borders of the region: where few
draws are answered there, it is those whose tail happened not to be seen, and they may hold less.

Geo lifts are read by `geo read`'s method at 95% and, promising 90%, at 90%; the lift's interval
holds the truth exactly where the effect's does. Effects are 0 and 10% in unseen worlds.
*Unless flagged* counts a switchback whose reading warns of a carry-over as not answered; what the
others hold says how far that warning can be relied on where the declared washout is too short.
"""
TABLES = {
    "units": "Units are assigned: customers, visitors, sessions",
    "days": "Days that differ, effects that wear off: read daily, written down before any result",
    "clusters": "Clusters are assigned: shops, teams, regions; read over 28 days",
    "holdout": "Holdout: the same customers, read 16 weeks",
    "bandit": "A bandit's log: three arms, by its own probabilities",
    "switchback": "Switchback: arms take turns in blocks of hours",
    "switchback unseen": "Switchback: worlds written down before their first result",
    "geo": "Geo lifts: worlds that were known when limits were set",
    "geo unseen": "Geo lifts: worlds written down before their first result",
    "geo confirming": "Geo lifts: worlds kept for the method that those changed",
}
"""Titles of the tables, in their order."""
_COMPARED = ("stats/difference", "stats/moments.py", "stats/interval.py", "stats/tails.py")
_GEO = tuple(
    f"stats/synthetic_control/{name}.py"
    for name in ("augmented", "conformal", "measure", "panel", "placebo", "simplex")
)
READ = {
    "units": (*_COMPARED, "simulation/experiments.py"),
    "clusters": (*_COMPARED, "simulation/experiments.py"),
    "days": (*_COMPARED, "simulation/switching_unseen.py"),
    "holdout": (*_COMPARED, "stats/holdout.py", "simulation/experiments.py"),
    "bandit": (
        "stats/adaptive",
        "stats/off_policy/scores.py",
        "stats/interval.py",
        "stats/tails.py",
        "simulation/bandit_log.py",
    ),
    "switchback": ("stats/switchback", "stats/multiplicity.py", "simulation/switching_shop.py"),
    "switchback unseen": (
        "stats/switchback",
        "stats/multiplicity.py",
        "simulation/switching_unseen.py",
    ),
    "geo": (*_GEO, "simulation/geo_trial.py"),
    "geo unseen": (*_GEO, "simulation/geo_unseen.py"),
    "geo confirming": (*_GEO, "simulation/geo_unseen.py"),
}
"""What the intervals and worlds of a table are computed by: files and folders of the package."""


def main() -> int:
    """Play the worlds that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", default=None, metavar="TABLE")
    parser.add_argument("--worlds", default="", help="only worlds whose name begins so")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--draws", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    kept = _kept()
    worlds = [
        world
        for world in WORLDS
        if arguments.only is None or _among(world.table, arguments.only)
        if world.name.startswith(arguments.worlds)
        if not (arguments.missing and _is_there(world, kept))
    ]
    began = time.monotonic()
    # As they are now: files may be edited while hours pass.
    versions = {table: version(table) for table in TABLES}
    for cells in play_many(worlds, arguments.seed, arguments.processes, arguments.draws):
        rows = [dataclasses.asdict(cell) for cell in cells]
        print(json.dumps(rows), file=sys.stderr, flush=True)
        key = _key(cells[0].table, cells[0].world, cells[0].effect)
        made = f"{datetime.now(UTC):%d %B %Y}".lstrip("0")
        found = {"made": made, "seed": arguments.seed, "version": versions[cells[0].table]}
        if arguments.draws is None:
            # Read again: another run may have kept other tables meanwhile.
            kept = _kept()
            kept[key] = {**found, "cells": rows}
            KEPT.write_text(json.dumps(kept, indent=1) + "\n")
            PAGE.write_text(page(kept))
        else:
            kept[key] = {**found, "cells": rows}
    played = _cells(kept)
    wrong = failures(played)
    summary = {
        "cells": len(played),
        "seconds": round(time.monotonic() - began),
        "holds": not wrong,
        "wrong": wrong,
    }
    print(json.dumps(summary, indent=1))
    return int(bool(wrong))


@cache
def version(table: str) -> str:
    """Hash the code that a table's intervals and worlds are computed by, without comments."""
    found = hashlib.sha256()
    for name in READ[table]:
        path = PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                body = getattr(node, "body", None)
                if isinstance(body, list):
                    node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
            found.update(ast.dump(tree).encode())
    return found.hexdigest()[:10]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _kept() -> Kept:
    if not KEPT.exists():
        return {}
    found: Kept = json.loads(KEPT.read_text())
    return found


def _among(table: str, names: list[str]) -> bool:
    return table in names or table.partition(" ")[0] in names


def _is_there(world: World, kept: Kept) -> bool:
    found = kept.get(_key(world.table, world.name, world.effect))
    return found is not None and found["version"] == version(world.table)


def _key(table: str, world: str, effect: float) -> str:
    return f"{table}: {world}, effect {effect:g}"


def _cells(kept: Kept) -> list[Cell]:
    """Give the cells of all kept worlds that there still are, in the order of the list."""
    keys = [_key(world.table, world.name, world.effect) for world in WORLDS]
    return [Cell(**row) for key in keys if key in kept for row in kept[key]["cells"]]


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


def page(kept: Kept) -> str:
    """Write the map for people."""
    every = _cells(kept)
    size = sum(not cell.naive for cell in every)
    parts = [INTRODUCTION]
    for table in TABLES:
        cells = [cell for cell in every if cell.table == table]
        if not cells:
            continue
        runs = [kept[_key(table, cell.world, cell.effect)] for cell in cells]
        draws = " or ".join(f"{count:,}" for count in sorted({cell.draws for cell in cells}))
        seeds = ", ".join(sorted({str(run["seed"]) for run in runs}))
        made = " and ".join(dict.fromkeys(run["made"] for run in runs))
        codes = ", ".join(f"`{code}`" for code in dict.fromkeys(run["version"] for run in runs))
        old = {
            cell.world
            for cell, run in zip(cells, runs, strict=True)
            if run["version"] != version(table)
        }
        parts.append(f"## {TABLES[table]}\n")
        parts.append(
            f"{draws} draws with and as many without an effect, seed {seeds}, on {made}, "
            f"by code {codes}: covered / false alarms, in per cent.\n"
        )
        for group in _groups(cells):
            parts += [*_table(cells, group, size, old), ""]
    return "\n".join([*parts, *_not_played(kept)]).rstrip() + "\n"


def _not_played(kept: Kept) -> list[str]:
    """Say what of the map is not there."""
    lines = []
    for table, title in TABLES.items():
        keys = [_key(table, one.name, one.effect) for one in WORLDS if one.table == table]
        missing = sum(key not in kept for key in keys)
        if missing:
            lines.append(f"- {title}: {missing} of {len(keys)}")
    if not lines:
        return []
    words = "`python -m soak.experiments_coverage --missing` plays them. Known worlds of geo lifts "
    words += "have results by another seed in [How sure are we?](../statistics.md#geo-lifts)."
    return ["## Worlds and effects that were not played yet\n", *lines, "", words]


def _groups(cells: list[Cell]) -> list[list[str]]:
    """Put designs read once into one table, those read often into another."""
    designs = list(dict.fromkeys(cell.design for cell in cells))
    often = [name for name in designs if name.startswith(("anytime", "holdout", "naive"))]
    once = [name for name in designs if name not in often]
    return [group for group in (once, often) if group]


def _table(cells: list[Cell], designs: list[str], size: int, old: set[str]) -> list[str]:
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
        mark = " †" if world in old else ""
        lines.append(f"| {world}{mark} | {answered:.0%} | {' | '.join(texts)} |")
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


if __name__ == "__main__":
    sys.exit(main())
