"""Cut the power thousands of times, at fresh random moments, and count what was lost.

    .venv/bin/python -m soak.power_loss [--cuts 10000] [--seed N]

Prints one JSON document; exits 1 when an acknowledged row was lost, a file was torn, or a run with
``synchronous=normal`` lost nothing (then the test couldn't tell).
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.system.power_cut import cut_often
from tests.system.power_work import WORK


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=10_000, help="cuts a store")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    arguments = parser.parse_args()
    results = []
    for store in WORK:
        for synchronous, cuts in (("full", arguments.cuts), ("normal", arguments.cuts // 10)):
            results.append(_measure(store, synchronous, cuts, arguments.seed))
            print(json.dumps(results[-1]), file=sys.stderr)
    holds = all(result["holds"] for result in results)
    print(json.dumps({"seed": arguments.seed, "holds": holds, "results": results}))
    return int(not holds)


def _measure(store: str, synchronous: str, cuts: int, seed: int) -> dict[str, object]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = cut_often(store, cuts, seed, Path(folder), synchronous)
    lossless = tally.lost_rows == 0
    return {
        "store": store,
        "synchronous": synchronous,
        "cuts": tally.cuts,
        "cuts_with_loss": tally.cuts_with_loss,
        "lost_rows": tally.lost_rows,
        "wrong": list(tally.wrong[:20]),
        "holds": not tally.wrong and lossless == (synchronous == "full"),
        "seconds": round(time.monotonic() - began, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
