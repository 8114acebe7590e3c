"""Fuzz both ways of serving from their own OpenAPI, with fresh seeds, and look for 5xx and lies.

    .venv/bin/python -m soak.schema_fuzz [--examples 500] [--rounds 3] [--seed N]

Prints one JSON document; exits 1 when an answer was not declared.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.system.collector import make_project, serving
from tests.system.schema_fuzz import fuzz


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=500, help="examples an address")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    arguments = parser.parse_args()
    results = []
    for number in range(arguments.rounds):
        for mode in ((), ("--only", "collect")):
            results.append(_round(mode, arguments.examples, arguments.seed + number))
            print(json.dumps(results[-1]), file=sys.stderr)
    holds = all(result["holds"] for result in results)
    print(json.dumps({"seed": arguments.seed, "holds": holds, "results": results}))
    return int(not holds)


def _round(mode: tuple[str, ...], examples: int, seed: int) -> dict[str, object]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "shop")
        with serving(project, *mode, "--no-compact") as server:
            done = fuzz(server, "--max-examples", str(examples), seed=seed)
    generated = re.search(r"([0-9]+) generated", done.stdout)
    failures = [] if done.returncode == 0 else done.stdout[-20_000:].splitlines()
    return {
        "mode": " ".join(mode),
        "seed": seed,
        "requests": int(generated[1]) if generated else 0,
        "holds": done.returncode == 0,
        "failures": failures,
        "seconds": round(time.monotonic() - began, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
