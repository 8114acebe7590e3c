"""Live random histories of customers, and hold what is kept against a rebuilding and plain Python.

    .venv/bin/python -m soak.histories [--seeds 100] [--first 0] [--events 24] [--offsets 6]

Each seed is one history: consents given and taken back, customers merged and told apart, late and
repeated events, orders that several sources report, erasures; sorted in random batches. See
`tests.identity.histories`. Prints one JSON document; exits 1 when a seed does not hold, and says
which: it belongs into `tests/identity/test_histories.py`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.identity.histories import check, history


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--events", type=int, default=24)
    parser.add_argument("--offsets", type=int, default=6)
    arguments = parser.parse_args()
    began = time.monotonic()
    counts: Counter[str] = Counter()
    failed: dict[int, str] = {}
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        steps = history(random.Random(seed), arguments.events)
        with tempfile.TemporaryDirectory() as folder:
            try:
                counts += check(Path(folder), steps, arguments.offsets)
            except AssertionError as error:
                failed[seed] = str(error).partition("\n")[0]
        print(f"seed {seed}: {failed.get(seed, 'holds')}", file=sys.stderr, flush=True)
    result = {
        "seeds": arguments.seeds,
        "holds": not failed,
        "failed": failed,
        "seconds": round(time.monotonic() - began),
        "counts": counts,
    }
    print(json.dumps(result))
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
