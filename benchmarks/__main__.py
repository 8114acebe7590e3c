"""Run one benchmark: prints one JSON document, exits 1 when a bar falls short."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from importlib.metadata import version

from benchmarks import BENCHMARKS
from liftwerk.errors import UnknownName, did_you_mean


def main(arguments: list[str]) -> int:
    """Run the benchmark that the arguments name."""
    quick = "--quick" in arguments
    names = [argument for argument in arguments if argument != "--quick"]
    part = []
    if "--part" in names:
        at = names.index("--part")
        names, part = names[:at] + names[at + 2 :], names[at + 1 : at + 2]
    if len(names) != 1:
        known = ", ".join(BENCHMARKS)
        print(f"usage: python -m benchmarks NAME [--quick]; NAME: {known}", file=sys.stderr)
        return 2
    name = names[0]
    if name not in BENCHMARKS:
        hint = did_you_mean(name, BENCHMARKS)
        print(f"error: no such benchmark: {name}: {hint}", file=sys.stderr)
        return 2
    began = time.perf_counter()
    try:
        found = importlib.import_module(BENCHMARKS[name]).run(quick, *part)
    except UnknownName as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    ours = {each: version(each) for each in ("numpy", "scipy", "lightgbm")}
    document = {
        **found,
        "benchmark": name,
        "quick": quick,
        "versions": {"python": platform.python_version(), **ours, **found.get("versions", {})},
        "cores": len(os.sched_getaffinity(0)),
        "seconds_in_all": round(time.perf_counter() - began, 1),
        "bars": found["bars"],
    }
    print(json.dumps(document, indent=1))
    if not document["bars"]:
        print("error: a benchmark without bars shows nothing", file=sys.stderr)
        return 1
    return int(not all(bar["holds"] for bar in document["bars"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
