"""Read whole simulated trials: how often each interval holds the truth.

    .venv/bin/python -m soak.coverage [--seeds 1000] [--first 0] [WORLD ...]

For every policy under every estimator, each difference, and all differences together: share covered
among the answered, share of Unknown. Prints one JSON document; exits 1 when a value, or the
differences together, leave 92 to 97.5% in the `resampled` world, or when more than 8% of the trials
of another world are answered wrongly. (One simultaneous interval alone covers more than 97.5%: that
is what it takes to hold together with the others.)
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
from typing import Any

import numpy as np
from tests.decisions.coverage import LEARNED, Reading, read_trials, table

WORLDS = ("resampled", "lognormal", "nothing_works", "harm")
LEAST, MOST = 0.92, 0.975


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("worlds", nargs="*", default=WORLDS)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    results = {}
    for name in arguments.worlds:
        began = time.monotonic()
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        readings = read_trials(name, seeds, arguments.processes)
        results[name] = _summary(name, readings)
        results[name]["seconds"] = round(time.monotonic() - began)
        print(json.dumps({name: results[name]}), file=sys.stderr)
    holds = all(result["holds"] for result in results.values())
    print(json.dumps({"seeds": arguments.seeds, "holds": holds, "worlds": results}))
    return int(not holds)


def _summary(name: str, readings: list[Reading]) -> dict[str, Any]:
    rows = table(readings)
    covered = {key: share for key, (share, _) in rows.items()}
    unknown = {key: share for key, (_, share) in rows.items()}
    answered_wrongly = {key: (1 - unknown[key]) * (1 - covered[key]) for key in rows}
    judged = [key for key in covered if "/" in key or "jointly" in key]
    lowest = min(judged, key=lambda key: covered[key])
    highest = max(judged, key=lambda key: covered[key])
    headlines = [reading.evaluation.headline for reading in readings]
    if name == "resampled":
        holds = covered[lowest] >= LEAST and covered[highest] <= MOST
    else:
        holds = max(answered_wrongly.values()) <= 1.0 - LEAST
    return {
        "holds": holds,
        "lowest": [lowest, covered[lowest]],
        "highest": [highest, covered[highest]],
        "unknown": [min(unknown.values()), max(unknown.values())],
        "covered": {key: round(share, 4) for key, share in covered.items()},
        "answered_wrongly": round(max(answered_wrongly.values()), 4),
        "verdicts": dict(collections.Counter(headline.verdict for headline in headlines)),
        "claims_too_much": float(np.mean([reading.claims_too_much() for reading in readings])),
        "true_value": {
            policy: round(float(np.mean([reading.values[policy] for reading in readings])), 4)
            for policy in readings[0].values
        },
        "standard_deviation_of_learned": float(
            np.std([reading.values[LEARNED] for reading in readings])
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
