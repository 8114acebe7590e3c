"""Erase 1,000 of 100,000 customers under load, and look for them in every byte of the home.

    .venv/bin/python -m soak.erasure [--customers 100000] [--erased 1000] [--rate 1000] [--seed N]

Prints one JSON document with `bars`; exits 1 when one falls short.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.system.erasure_load import erase_under_load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--erased", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=1_000, help="events a second beside it")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--patience", type=float, default=1_800, help="seconds before giving up")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "shop"
        figures = erase_under_load(
            folder, given.customers, given.erased, given.seed, given.rate, given.patience
        )
    figures["bars"] = bars(figures)
    print(json.dumps(figures, indent=2))
    return int(not all(bar["holds"] for bar in figures["bars"]))


def bars(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Hold the figures against what has to be shown."""
    found = sum(figures["canaries_found"].values())
    keys = sum(figures["keys_found_outside_the_ledger"].values())
    late = figures["erased_after_seconds"]["p95"]
    one = figures["one_by_bucket"]
    share = one["events"]["read"] / max(one["events"]["of"], 1)
    return [
        {"bar": "identifiers found in any byte", "value": found, "goal": 0, "holds": found == 0},
        {"bar": "keys found beside tombstones", "value": keys, "goal": 0, "holds": keys == 0},
        {"bar": "95% erased within seconds", "value": late, "goal": 300, "holds": late <= 300},
        {
            "bar": "one customer within seconds",
            "value": one["seconds"],
            "goal": 10,
            "holds": one["seconds"] <= 10,
        },
        {"bar": "share of rows read for one", "value": share, "goal": 0.5, "holds": share < 0.5},
    ]


if __name__ == "__main__":
    sys.exit(main())
