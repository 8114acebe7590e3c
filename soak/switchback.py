"""Read simulated switchbacks: how often each interval holds the truth.

    .venv/bin/python -m soak.switchback [--experiments 400] [--seed 0] [--processes 2]

Every cell is an effect, a length of blocks, a carry-over and a noise
(`tests/stats/switchback/cells.py`). Prints one JSON document with the coverage and median width of
the interval from the lot, of the second opinion and of the plain difference in means. Exits 1 when
the lot's interval leaves familywise binomial bounds around 95% (where the effect varies, or few
blocks are refused: the lower one), or finds a carry-over that is not there in more than twice 5%.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from scipy.stats import binom
from tests.stats.switchback.cells import Cell, read

CELLS = (
    *(
        Cell(effect, weeks, block, memory=memory, tail=tail)
        for effect, weeks, block in (("nothing", 2, 4), ("better", 4, 4), ("harm", 8, 8))
        for memory, tail in ((0.0, "normal"), (0.6, "normal"), (0.9, "heavy"))
    ),
    *(
        Cell(effect, 4, block, carry_over=hours, washout=hours, memory=0.6)
        for effect, block, hours in (
            ("better", 4, 2),
            ("harm", 6, 4),
            ("nothing", 4, 2),
            ("varying", 6, 4),
        )
    ),
    # As long as one and two blocks of an hour: nothing is left after the washout of less.
    Cell("better", 4, 12, carry_over=6, washout=6, memory=0.6),
    Cell("varying", 4, 8, memory=0.6),
    Cell("better", 8, 24, memory=0.6),
    Cell("better", 4, 6, memory=0.6, share=0.25),
)
TOO_LITTLE_WASHOUT = (
    Cell("better", 4, 4, carry_over=4, washout=0, memory=0.6),
    Cell("better", 4, 2, carry_over=4, washout=0, memory=0.6),
)
"""Carry-over of one and of two blocks that nobody allowed for: nothing covers here."""
FAMILYWISE = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--experiments", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    cells = CELLS + TOO_LITTLE_WASHOUT
    seeds, counts = [arguments.seed] * len(cells), [arguments.experiments] * len(cells)
    with ProcessPoolExecutor(arguments.processes) as pool:
        found = dict(
            zip([cell.name for cell in cells], pool.map(read, cells, seeds, counts), strict=True)
        )
    failures = list(_failures(found, arguments.experiments))
    document = {"experiments": arguments.experiments, "seed": arguments.seed}
    print(json.dumps(document | {"failures": failures, "cells": found}, indent=1))
    return int(bool(failures))


def _failures(found: dict[str, Any], count: int) -> Iterator[str]:
    for cell in CELLS:
        one = found[cell.name]
        answered = round(count * (1.0 - one["unknown"]))
        tail = FAMILYWISE / (2 * len(CELLS))
        least = binom.ppf(tail, answered, 0.95) / answered
        most = binom.isf(tail, answered, 0.95) / answered
        if one["lot_covered"] < least:
            yield f"{cell.name}: covered {one['lot_covered']}, at least {least:.4f}"
        if cell.effect != "varying" and one["lot_covered"] > most:
            yield f"{cell.name}: covered {one['lot_covered']}, at most {most:.4f}"
        if cell.carry_over == 0 and one.get("carry_over_found", 0.0) > 0.1:
            yield f"{cell.name}: found a carry-over in {one['carry_over_found']}"


if __name__ == "__main__":
    sys.exit(main())
