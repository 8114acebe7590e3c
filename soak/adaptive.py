"""Read simulated bandit logs: how often each interval holds the truth, and what fails.

    .venv/bin/python -m soak.adaptive [--logs 2000] [--seed 0] [--processes 2] [--only TEXT]

Every cell is a world, an outcome and a bandit (`tests/stats/adaptive/cells.py`). Prints one JSON
document: for each method and question the share covered among the answered, the share of Unknown,
the median width. Exits 1 when an interval of ours that is answered in at least 80% of the logs of
its cell covers less often than chance allows a 95% interval, familywise over all of them, or when
any is wrong more often than that, whether answered or not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from scipy.stats import binom
from tests.stats.adaptive.cells import Cell, read, read_daily

CELLS = (
    *(
        Cell(world, outcome, bandit, contextual)
        for outcome in ("noise", "click")
        for world in ("nothing_works", "harm")
        for bandit, contextual in (
            ("epsilon_greedy", False),
            ("thompson", False),
            ("thompson", True),
        )
    ),
    Cell("one_works", "click", "thompson"),
    Cell("flips", "noise", "thompson", contextual=True),
    Cell("flips", "click", "thompson", contextual=True),
    Cell("nothing_works", "spend", "thompson", size=400),
    Cell("harm", "spend", "thompson", size=400),
    Cell("nothing_works", "noise", "epsilon_greedy", floor=0.3, decay=0.5),
    Cell("harm", "noise", "thompson", floor=0.3, decay=0.5),
    Cell("harm", "click", "thompson", floor=0.3, decay=0.5),
    Cell("harm", "noise", "epsilon_greedy", floor=0.3, decay=1.0),
    # Small logs: the means of arms are biased, and what is worth too few draws is refused.
    Cell("nothing_works", "noise", "epsilon_greedy", batches=100, size=10),
    Cell("harm", "click", "epsilon_greedy", batches=50, size=40, floor=0.3, decay=0.5),
    Cell("harm", "spend", "thompson", batches=50, size=40),
)
DAILY = (
    Cell("nothing_works", "noise", "epsilon_greedy"),
    Cell("nothing_works", "click", "thompson", size=400),
    Cell("harm", "noise", "thompson", True),
)
LOOKS = 28
DAILY_SHARE = 4
"""Logs that are looked at daily: one for so many of the others."""
ANSWERED = 0.8
FAMILYWISE = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--logs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    cells = [cell for cell in CELLS if arguments.only in cell.name]
    daily = [cell for cell in DAILY if arguments.only in cell.name]
    results: dict[str, Any] = {}
    looks: dict[str, Any] = {}
    with ProcessPoolExecutor(arguments.processes) as pool:
        seeds, logs = [arguments.seed] * len(cells), [arguments.logs] * len(cells)
        for cell, found in zip(cells, pool.map(_timed, cells, seeds, logs), strict=True):
            results[cell.name] = found
            print(json.dumps({cell.name: found}), file=sys.stderr, flush=True)
        few = max(arguments.logs // DAILY_SHARE, 1)
        for cell in daily:
            looks[cell.name] = read_daily(cell, arguments.seed, few, LOOKS)
            print(json.dumps({cell.name: looks[cell.name]}), file=sys.stderr, flush=True)
    failures = list(_failures(results, arguments.logs)) + list(_failed_looks(looks, few))
    document = {"logs": arguments.logs, "seed": arguments.seed, "failures": failures}
    print(json.dumps(document | {"cells": results, "daily": looks}))
    return int(bool(failures))


def _timed(cell: Cell, seed: int, logs: int) -> dict[str, Any]:
    began = time.monotonic()
    return {**read(cell, seed, logs), "seconds": round(time.monotonic() - began)}


def _failures(results: dict[str, Any], logs: int) -> Any:
    ours = [
        (cell, what, found)
        for cell, methods in results.items()
        for what, found in methods.items()
        if what.startswith("weighted") and found["answered"]
    ]
    for cell, what, found in ours:
        wrong = round((1.0 - found["covered"]) * found["answered"])
        most = binom.isf(FAMILYWISE / len(ours), logs, 0.05)
        if wrong > most:
            yield f"{cell}: {what}: {wrong} of {logs} wrong, at most {most:g}"
        least = binom.ppf(FAMILYWISE / len(ours), found["answered"], 0.95) / found["answered"]
        if found["unknown"] <= 1.0 - ANSWERED and found["covered"] < least:
            yield f"{cell}: {what}: covered {found['covered']}, at least {least:.4f}"


def _failed_looks(looks: dict[str, Any], logs: int) -> Any:
    for cell, found in looks.items():
        least = binom.ppf(FAMILYWISE / len(looks), logs, 0.95) / logs
        held = found["anytime_held_at_all_looks"]
        if held < least:
            yield f"{cell}: held at all looks in {held}, at least {least:.4f}"


if __name__ == "__main__":
    sys.exit(main())
