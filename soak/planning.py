"""Read experiments of plans: how often each design sees what its plan promises.

    .venv/bin/python -m soak.planning [--histories 40] [--tests 10] [--seed 0] [--processes 2]

A geo test is planned on each of many drawn histories, and read in the weeks that follow, with the
planned effect put in (`tests/experiments/geo/planned.py`). Prints one JSON document with the mean
power by the plans and the part of the readings that saw the effect. Exits 1 where these differ by
more than chance allows for all worlds together; where markets drift apart a plan may promise too
little.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from scipy.special import ndtri
from tests.experiments.geo.planned import Run, run

WORLDS = (
    ("nothing_works", 0.04, 7),
    ("nothing_works", 0.05, 14),
    ("autocorrelated", 0.05, 14),
    ("sizes", 0.05, 7),
    ("seasonal", 0.04, 7),
    ("trends", 0.06, 7),
)
"""World, effect and days."""
FAMILYWISE = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--histories", type=int, default=40)
    parser.add_argument("--tests", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    cells = {}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for world, effect, days in WORLDS:
            asked = [
                pool.submit(
                    run, world, 1_000 * arguments.seed + place, effect, days, arguments.tests
                )
                for place in range(arguments.histories)
            ]
            cells[f"{world}, {effect:.0%}, {days} days"] = _summary([one.result() for one in asked])
    failures = [name for name, one in cells.items() if abs(one["z"]) > _bound()]
    document = {"seed": arguments.seed, "failures": failures, "cells": cells}
    print(json.dumps(document, indent=1))
    return int(bool(failures))


def _summary(runs: list[Run]) -> dict[str, Any]:
    """Compare what was planned and seen, a history each: tests of one are not independent."""
    apart = np.array([one.seen / one.asked - one.planned for one in runs])
    error = float(apart.std(ddof=1)) / math.sqrt(len(runs))
    return {
        "planned": round(float(np.mean([one.planned for one in runs])), 4),
        "seen": round(float(np.mean([one.seen / one.asked for one in runs])), 4),
        "apart": round(float(apart.mean()), 4),
        "z": round(float(apart.mean()) / max(error, 1e-9), 2),
        "tests": sum(one.asked for one in runs),
    }


def _bound() -> float:
    return float(ndtri(1.0 - FAMILYWISE / (2 * len(WORLDS))))


if __name__ == "__main__":
    sys.exit(main())
